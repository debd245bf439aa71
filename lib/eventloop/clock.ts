/**
 * Time as the event loop sees it. Everything that waits goes through a clock, so a test can own time.
 *
 * @publicApi
 */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin, fractions included. */
  now(): number;
  /** The time of day: milliseconds since 1970 in UTC. What credentials and tokens expire by; may jump when it is set. */
  epochMs(): number;
  /** Runs `callback` once, not earlier than `delayMs` from now. */
  startTimer(callback: () => void, delayMs: number): Timer;
}

/** @publicApi */
export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void;
}

/** `setTimeout` cannot wait longer; a longer delay is waited for in parts. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;

/** The computer's own monotonic clock. @internal */
export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  startTimer(callback, delayMs) {
    let handle: NodeJS.Timeout;
    const wait = (restMs: number): void => {
      handle =
        restMs > LONGEST_TIMEOUT_MS
          ? setTimeout(() => wait(restMs - LONGEST_TIMEOUT_MS), LONGEST_TIMEOUT_MS)
          : setTimeout(callback, restMs);
    };
    wait(delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Ends early, without an error, when the signal aborts. @internal */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = clock.startTimer(wake, delayMs);
    signal.addEventListener('abort', wake, { once: true });
    if (signal.aborted) wake();
  });
}
