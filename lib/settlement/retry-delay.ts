import { MqttArgumentError } from '../eventloop/errors.js';
import type { RegisteredHandler } from '../routing/handler.js';
import type { RunEnvironment } from './run-environment.js';
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
 * When a handler that has failed is tried again; undefined: it is not.
 *
 * @param attempt - the one that has failed, from 1
 * @internal
 */
export function nextRetryMs(
  { pattern, settlement: { retry } }: RegisteredHandler,
  attempt: number,
  error: unknown,
  { random, report }: Pick<RunEnvironment, 'random' | 'report'>,
): number | undefined {
  if (retry === undefined || attempt >= retry.attempts) return undefined;
  if (retry.when !== undefined) {
    try {
      const isWorthIt: unknown = retry.when(error);
      if (typeof isWorthIt !== 'boolean') {
        // A promise, say, would always be taken for a yes; what it rejects with is not to end the process.
        Promise.resolve(isWorthIt).catch(() => undefined);
        throw new MqttArgumentError('result', isWorthIt, 'true or false');
      }
      if (!isWorthIt) return undefined;
    } catch (cause) {
      report.hookFailed('retry.when', pattern.declared, cause);
      return undefined;
    }
  }
  return retryDelayMs(retry, attempt, random);
}

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
