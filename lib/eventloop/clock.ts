/**
 * Time as the event loop sees it. Everything that waits goes through a clock, so a test can own time.
 *
 * @publicApi
 */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin, fractions included. */
  now(): number;
  /** Runs `callback` once, not earlier than `delayMs` from now. */
  startTimer(callback: () => void, delayMs: number): Timer;
}

/** @publicApi */
export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void;
}

/** `setTimeout` fires at once for longer delays; such a timer is armed again until its time has come. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;

/** The computer's own monotonic clock. @internal */
export const systemClock: Clock = {
  now: () => performance.now(),
  startTimer(callback, delayMs) {
    const dueAtMs = performance.now() + delayMs;
    const arm = (): NodeJS.Timeout => setTimeout(fire, Math.min(dueAtMs - performance.now(), LONGEST_TIMEOUT_MS));
    const fire = (): void => {
      if (dueAtMs - performance.now() > LONGEST_TIMEOUT_MS / 2) handle = arm();
      else callback();
    };
    let handle = arm();
    return { cancel: () => clearTimeout(handle) };
  },
};
