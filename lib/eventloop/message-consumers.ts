import { MqttStateError } from './errors.js';
import type { IncomingMessage, MessageHandler } from './messages.js';
import { NOT_CONSUMED } from './session/incoming.js';
import { topicMatches } from './topics.js';

interface Pending {
  readonly message: IncomingMessage;
  readonly settle: (outcome?: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Hands messages to the handler and to the iterators. While there is neither, messages wait: not lost, not acknowledged, and
 * bounded like any message whose handler has not settled.
 *
 * @internal
 */
export class MessageConsumers {
  #handler: MessageHandler | undefined;
  readonly #iterators = new Set<MessageIterator>();
  #parked: Pending[] = [];
  #closed = false;
  readonly #onUnmatched: (message: IncomingMessage) => void;

  /** @param onUnmatched there are iterators, and none of them takes the message */
  constructor(onUnmatched: (message: IncomingMessage) => void) {
    this.#onUnmatched = onUnmatched;
  }

  /** @throws MqttStateError when there is a handler already */
  setHandler(handler: MessageHandler): () => void {
    if (this.#handler !== undefined) {
      throw new MqttStateError(
        'onMessage has a handler already: remove it first (call what onMessage returned), or use messages()',
      );
    }
    this.#handler = handler;
    this.#unpark(() => true);
    return () => {
      if (this.#handler === handler) this.#handler = undefined;
    };
  }

  iterate(filter: string | undefined): AsyncIterableIterator<IncomingMessage> {
    const iterator = new MessageIterator(filter, () => this.#iterators.delete(iterator), this.deliver);
    if (this.#closed) iterator.close();
    else this.#iterators.add(iterator);
    this.#unpark((message) => iterator.takes(message));
    return iterator;
  }

  /** Settles a message when all of its consumers have. */
  readonly deliver = (message: IncomingMessage): unknown => {
    if (this.#iterators.size === 0) return this.#handler === undefined ? this.#park(message) : this.#handler(message);
    const results: unknown[] = [];
    for (const iterator of this.#iterators) if (iterator.takes(message)) results.push(iterator.push(message));
    const handler = this.#handler;
    if (results.length === 0) return handler === undefined ? this.#onUnmatched(message) : handler(message);
    // As a promise: a throw must not lose sight of what the iterators make of the message.
    if (handler !== undefined) results.push(new Promise((resolve) => resolve(handler(message))));
    return results.length > 1 ? Promise.all(results) : results[0];
  };

  /** The server sends again what has not been acknowledged: what no consumer has begun with is left to it, or would be handled twice. */
  leaveWaiting(): void {
    this.#parked = withoutLeft(this.#parked);
    for (const iterator of this.#iterators) iterator.leaveWaiting();
  }

  /** Ends the iterators after the message they are at; what waits is left to the broker. */
  close(): void {
    this.#closed = true;
    for (const iterator of this.#iterators) iterator.close();
    for (const { reject } of this.#parked) reject(NOT_CONSUMED);
    this.#parked = [];
  }

  #park(message: IncomingMessage): unknown {
    if (this.#closed) throw NOT_CONSUMED;
    return new Promise((settle, reject) => this.#parked.push({ message, settle, reject }));
  }

  /** What nobody takes yet goes on waiting: its consumer may be the next to come. */
  #unpark(takes: (message: IncomingMessage) => boolean): void {
    const parked = this.#parked;
    this.#parked = parked.filter(({ message }) => !takes(message));
    for (const { message, settle } of parked) {
      if (takes(message)) settle(new Promise((resolve) => resolve(this.deliver(message))));
    }
  }
}

/**
 * Leaves QoS 1 messages to the server. One of QoS 2 stays: when it comes again it is known, and waits for the consumers that have it.
 *
 * @returns the others
 */
function withoutLeft(waiting: readonly Pending[]): Pending[] {
  return waiting.filter(({ message, reject }) => {
    const isLeft = message.qos === 1 && message.leave();
    if (isLeft) reject(NOT_CONSUMED);
    return !isLeft;
  });
}

/** Pull-style consumption. Asking for the next message acknowledges the one before. */
class MessageIterator implements AsyncIterableIterator<IncomingMessage> {
  readonly #filter: string | undefined;
  readonly #onDone: () => void;
  readonly #redeliver: (message: IncomingMessage) => unknown;
  #waiting: Pending[] = [];
  #current: Pending | undefined;
  #pulls: ((result: IteratorResult<IncomingMessage>) => void)[] = [];
  #done = false;

  constructor(filter: string | undefined, onDone: () => void, redeliver: (message: IncomingMessage) => unknown) {
    this.#filter = filter;
    this.#onDone = onDone;
    this.#redeliver = redeliver;
  }

  takes(message: IncomingMessage): boolean {
    return this.#filter === undefined || topicMatches(this.#filter, message.topic);
  }

  push(message: IncomingMessage): Promise<unknown> {
    return new Promise((settle, reject) => {
      this.#waiting.push({ message, settle, reject });
      this.#advance();
    });
  }

  next(): Promise<IteratorResult<IncomingMessage>> {
    this.#current?.settle();
    this.#current = undefined;
    return new Promise((resolve) => {
      this.#pulls.push(resolve);
      this.#advance();
    });
  }

  /** Leaving the loop settles the message at hand and passes the ones behind it on to other consumers. */
  return(): Promise<IteratorResult<IncomingMessage>> {
    this.#current?.settle();
    this.#current = undefined;
    this.#finish();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { message, settle } of waiting) settle(new Promise((resolve) => resolve(this.#redeliver(message))));
    return Promise.resolve({ done: true, value: undefined });
  }

  leaveWaiting(): void {
    this.#waiting = withoutLeft(this.#waiting);
  }

  close(): void {
    this.#finish();
    for (const { reject } of this.#waiting) reject(NOT_CONSUMED);
    this.#waiting = [];
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(): void {
    this.#done = true;
    this.#onDone();
    this.#advance();
  }

  #advance(): void {
    while (this.#pulls.length > 0) {
      const pending = this.#done ? undefined : this.#waiting.shift();
      if (pending === undefined && !this.#done) return;
      const pull = this.#pulls.shift()!;
      if (pending === undefined) pull({ done: true, value: undefined });
      else {
        // Asked for before the one at hand had come: asking acknowledges all the same.
        this.#current?.settle();
        this.#current = pending;
        pull({ done: false, value: pending.message });
      }
    }
  }
}
