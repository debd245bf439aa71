import type { RetrySettings } from './settlement-settings.js';

/** Delays of `context.retry()` without options of its own, and of dead letters that cannot be published. @internal */
export const usualDelays: RetrySettings = {
  attempts: 0,
  minDelayMs: 1_000,
  maxDelayMs: 60_000,
  factor: 2,
  jitter: 'full',
};

/**
 * How long to wait before the next attempt.
 *
 * @param attempt - the one that has failed, from 1
 * @param random - uniform in [0, 1)
 * @internal
 */
export function retryDelayMs(retry: RetrySettings, attempt: number, random: () => number): number {
  // A large power is infinite, and the minimum holds all the same.
  const ceilingMs = Math.min(retry.maxDelayMs, retry.minDelayMs * retry.factor ** (attempt - 1));
  return retry.jitter === 'none' ? ceilingMs : random() * ceilingMs;
}
