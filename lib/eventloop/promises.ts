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
