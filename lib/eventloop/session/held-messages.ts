import type { ReceivedMessage } from './received-message.js';

/**
 * Messages that a server without Receive Maximum sent beyond our bound while reading could not stop, because an outgoing exchange
 * waited for its answer. They wait, not delivered and not acknowledged, until earlier ones are done with.
 *
 * @internal
 */
export class HeldMessages {
  #line: ReceivedMessage[] = [];
  #releasing = false;

  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  push(message: ReceivedMessage): void {
    this.#line.push(message);
  }

  /** Hands them over in order while there is room. Delivering one may make room for the next: not deeper, but in turn. */
  release(hasRoom: () => boolean, deliver: (message: ReceivedMessage) => void): void {
    if (this.#releasing) return;
    this.#releasing = true;
    while (this.#line.length > 0 && hasRoom()) deliver(this.#line.shift()!);
    this.#releasing = false;
  }

  /** Takes all out, in order. */
  drain(): ReceivedMessage[] {
    const line = this.#line;
    this.#line = [];
    return line;
  }
}
