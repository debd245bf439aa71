/** The promise, or the signal's reason when that comes first. @internal */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    const release = (): void => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(release);
  });
}

/** A rejected promise, from whatever was thrown. @internal */
export async function rejected(error: unknown): Promise<never> {
  throw error;
}

/** Promises that settle together. @internal */
export class Waiters {
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  wait(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Rejects with the error, or resolves when there is none. */
  settle(error: Error | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }
}
