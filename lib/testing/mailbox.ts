// Taken from the module, so that fake timers on the global object do not stop the test kit.
import { clearTimeout, setTimeout } from 'node:timers';

/** Settles like `promise`, or rejects with what `explain` says when that takes longer than `guardMs` of real time. @internal */
export async function guarded<T>(promise: Promise<T>, guardMs: number, explain: () => Error): Promise<T> {
  let guard: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    guard = setTimeout(() => reject(explain()), guardMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(guard);
  }
}

interface Waiter<T> {
  readonly resolve: (item: T) => void;
  readonly reject: (error: Error) => void;
}

/** A queue that tests wait on. A wait never hangs: it ends with an explanation when nothing comes. @internal */
export class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #waiters: Waiter<T>[] = [];
  #end: (() => Error) | undefined;

  /** What was put and not taken yet. */
  get items(): readonly T[] {
    return this.#items;
  }

  put(item: T): void {
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(item);
    else this.#items.push(item);
  }

  /** The next item. `explain` makes the error for the case that none comes within `guardMs` of real time. */
  take(guardMs: number, explain: () => Error): Promise<T> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift()!);
    if (this.#end) return Promise.reject(this.#end());
    let waiter: Waiter<T>;
    const item = new Promise<T>((resolve, reject) => {
      waiter = { resolve, reject };
      this.#waiters.push(waiter);
    });
    return guarded(item, guardMs, () => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      return explain();
    });
  }

  /** Takes all there is. */
  drain(): T[] {
    return this.#items.splice(0);
  }

  /** Fails those who wait now. */
  interrupt(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** Nothing will be put any more: fails those who wait now or later for more than there is. */
  close(reason: () => Error): void {
    this.#end ??= reason;
    if (this.#waiters.length > 0) this.interrupt(reason());
  }
}
