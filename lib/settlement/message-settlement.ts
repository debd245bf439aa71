import type { ListNode } from '../eventloop/admission/linked-list.js';
import type { IncomingMessage } from '../eventloop/messages.js';
import { NOT_CONSUMED } from '../eventloop/session/incoming.js';

const refused = 0x80;

/** What a handler's run makes of its message: a reason code, or leaving it to the broker. @internal */
export type Decision = number | 'leave';

/** Why a handler failed; wrapped, for anything can be thrown, `undefined` included. @internal */
export interface Failure {
  readonly error: unknown;
}

/**
 * One message and the handlers that have a say in it. It is acknowledged when all of them have decided, with the highest of
 * their reason codes; left to the broker if one of them leaves it. It settles, as a promise does, when all of them have ended;
 * but for one listener, the event loop, and at once: a promise would cost more than all the rest of it.
 *
 * @internal
 */
export class MessageSettlement implements ListNode<MessageSettlement> {
  previous: MessageSettlement | undefined = undefined;
  next: MessageSettlement | undefined = undefined;
  readonly message: IncomingMessage;
  #undecided: number;
  #open: number;
  #reasonCode = 0;
  #isLeft = false;
  #isAbandoned = false;
  #failure: Failure | undefined;
  readonly #ended: (settlement: MessageSettlement) => void;
  #isSettled = false;
  #fulfilled: (() => void) | undefined;
  #rejected: ((reason: unknown) => void) | undefined;

  /**
   * @param deciders - how many of the handlers have a say; none: the message is acknowledged now
   * @param handlers - how many there are
   */
  constructor(
    message: IncomingMessage,
    deciders: number,
    handlers: number,
    ended: (settlement: MessageSettlement) => void,
  ) {
    this.message = message;
    this.#undecided = deciders;
    this.#open = handlers;
    this.#ended = ended;
    if (deciders === 0) message.acknowledge();
  }

  /** Tells the event loop how it ends; it also does so when it has ended by then. */
  // oxlint-disable-next-line unicorn/no-thenable -- it is what a handler may return to the event loop
  then(fulfilled: () => void, rejected: (reason: unknown) => void): void {
    this.#fulfilled = fulfilled;
    this.#rejected = rejected;
    if (this.#isSettled) this.#tell();
  }

  /** The shutdown did not wait for it. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** One decider has decided, and goes on. */
  decide(decision: Decision): void {
    this.#count(decision);
    if (this.#undecided === 0) this.#apply();
  }

  /**
   * One handler has ended.
   *
   * @param decision - of one that has a say and had not decided yet
   */
  end(decision: Decision | undefined, failure: Failure | undefined): void {
    if (this.#isAbandoned) return;
    this.#failure ??= failure;
    this.#open--;
    const isLast = this.#open === 0;
    if (decision !== undefined) {
      this.#count(decision);
      // With the last handler the event loop learns the usual outcome from the promise.
      if (this.#undecided === 0 && !(isLast && this.#isUsual())) this.#apply();
    }
    if (isLast) this.#settle();
  }

  /**
   * Nobody waits for the handlers any longer; the broker keeps what is not decided.
   *
   * @returns whether the broker has it
   */
  abandon(): boolean {
    this.#isAbandoned = true;
    const isLeft = this.#undecided > 0 && this.message.leave();
    this.#isLeft = true;
    this.#settle();
    return isLeft;
  }

  #isUsual(): boolean {
    return !this.#isLeft && this.#reasonCode === (this.#failure === undefined ? 0 : refused);
  }

  #count(decision: Decision): void {
    if (this.#isAbandoned) return;
    this.#undecided--;
    if (decision === 'leave') this.#isLeft = true;
    else this.#reasonCode = Math.max(this.#reasonCode, decision);
  }

  #apply(): void {
    if (this.#isAbandoned) return;
    if (this.#isLeft) this.message.leave();
    else this.message.acknowledge(this.#reasonCode);
  }

  #settle(): void {
    this.#isSettled = true;
    this.#ended(this);
    this.#tell();
  }

  #tell(): void {
    if (this.#failure !== undefined) this.#rejected?.(this.#failure.error);
    else if (this.#isLeft) this.#rejected?.(NOT_CONSUMED);
    else this.#fulfilled?.();
  }
}
