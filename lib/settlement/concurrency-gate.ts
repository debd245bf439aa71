import { LinkedList, type ListNode } from '../eventloop/admission/linked-list.js';

/** Somebody who may have to wait for a turn. @internal */
export interface Waiter extends ListNode<Waiter> {
  /** Its turn has come. */
  proceed(): void;
}

/**
 * Lets a number of runs in at once; the others wait in order of arrival. The line has no limit of its own:
 * the event loop bounds how many messages are unsettled, and only those can stand in it.
 *
 * @internal
 */
export class ConcurrencyGate {
  #running = 0;
  readonly #line = new LinkedList<Waiter>();

  constructor(readonly limit: number) {}

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#line.size;
  }

  /** False: it waits, and proceeds when its turn has come. Each one that was let in needs one `leave`. */
  enter(waiter: Waiter): boolean {
    if (this.#running < this.limit) {
      this.#running++;
      return true;
    }
    this.#line.push(waiter);
    return false;
  }

  leave(): void {
    const next = this.#line.shift();
    // The place passes on, so that nobody who comes in between can take it.
    if (next === undefined) this.#running--;
    else next.proceed();
  }
}
