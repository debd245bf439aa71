import type { IncomingMessage } from '../messages.js';
import type { ReceivedMessage } from './received-message.js';

/** Rejects the delivery of a message that nobody took: it is neither acknowledged nor refused. @internal */
export const NOT_CONSUMED = Symbol('not consumed');

/** @internal */
export interface DeliveryHooks {
  /** Hands a message to its consumers. A promise settles it later; {@link NOT_CONSUMED} leaves it to the broker. */
  deliver(message: IncomingMessage): unknown;
  /** A handler settled, or a message was acknowledged, later than the delivery: answers may wait, reading may go on. */
  settledLater(): void;
}

/** @internal */
export interface DeliveryBounds {
  readonly incomingCapacity: number;
  readonly incomingCapacityBytes: number;
}

/** How a handler ended. @internal */
export interface DeliveryOutcome {
  handled(message: ReceivedMessage): void;
  failed(message: ReceivedMessage, error: unknown): void;
  /** Nobody took it. */
  notConsumed(message: ReceivedMessage): void;
}

/** Messages that are with their handlers. Never waits for one. @internal */
export class Deliveries {
  readonly #hooks: DeliveryHooks;
  readonly #outcome: DeliveryOutcome;
  #unsettled = 0;
  #unsettledBytes = 0;
  #unsettledQos0 = 0;
  #unsettledQos0Bytes = 0;

  constructor(hooks: DeliveryHooks, outcome: DeliveryOutcome) {
    this.#hooks = hooks;
    this.#outcome = outcome;
  }

  /** Messages whose handlers have not settled. */
  get unsettled(): number {
    return this.#unsettled;
  }

  get unsettledBytes(): number {
    return this.#unsettledBytes;
  }

  get unsettledQos0(): number {
    return this.#unsettledQos0;
  }

  isFull({ incomingCapacity, incomingCapacityBytes }: DeliveryBounds): boolean {
    return this.#unsettled >= incomingCapacity || this.#unsettledBytes >= incomingCapacityBytes;
  }

  isQos0Full({ incomingCapacity, incomingCapacityBytes }: DeliveryBounds): boolean {
    return this.#unsettledQos0 >= incomingCapacity || this.#unsettledQos0Bytes >= incomingCapacityBytes;
  }

  deliver(message: ReceivedMessage): void {
    this.#count(message, 1);
    let result: unknown;
    try {
      result = this.#hooks.deliver(message);
    } catch (error) {
      return this.#failed(message, error);
    }
    const later = result as PromiseLike<unknown> | null | undefined;
    if (typeof later?.then !== 'function') return this.#settled(message);
    later.then(
      () => {
        this.#settled(message);
        this.#hooks.settledLater();
      },
      (error: unknown) => {
        this.#failed(message, error);
        this.#hooks.settledLater();
      },
    );
  }

  #settled(message: ReceivedMessage): void {
    this.#count(message, -1);
    this.#outcome.handled(message);
  }

  #failed(message: ReceivedMessage, error: unknown): void {
    this.#count(message, -1);
    if (error === NOT_CONSUMED) this.#outcome.notConsumed(message);
    else this.#outcome.failed(message, error);
  }

  #count({ qos, payload }: ReceivedMessage, sign: 1 | -1): void {
    this.#unsettled += sign;
    this.#unsettledBytes += sign * payload.length;
    if (qos > 0) return;
    this.#unsettledQos0 += sign;
    this.#unsettledQos0Bytes += sign * payload.length;
  }
}
