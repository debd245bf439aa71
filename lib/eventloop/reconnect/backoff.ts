import { MqttStateError, type MqttError } from '../errors.js';
import { classify } from './classify.js';

/** @internal */
export interface BackoffOptions {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly factor: number;
  readonly jitter: 'full' | 'none';
  readonly stableAfterMs: number;
  readonly retry?: ((error: MqttError, attempt: number) => number | 'stop' | undefined) | undefined;
}

/**
 * How long to wait before the next attempt. The ceiling grows with every failure and falls back only after a connection that
 * lasted: a broker that accepts and drops us at once is not reached more often than one that refuses.
 *
 * @internal
 */
export class Backoff {
  #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  configure(options: BackoffOptions): void {
    this.#options = options;
  }

  /** A connection ended that had lasted this long. */
  connectionEnded(lastedMs: number): void {
    if (lastedMs >= this.#options.stableAfterMs) this.#failures = 0;
  }

  /** Forgets earlier failures: somebody asked for a connection now. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * @param attempt the attempt that just failed, 0 when a connection was lost
   * @returns the delay, or `'stop'`, or why the user's own rule cannot be followed: which stops, too
   */
  next(error: MqttError, attempt: number): number | 'stop' | MqttError {
    const { minDelayMs, maxDelayMs, factor, jitter, retry } = this.#options;
    const ceilingMs = Math.min(maxDelayMs, minDelayMs * factor ** this.#failures);
    // 2 ** 1 024 is infinite; nobody waits that long.
    this.#failures = Math.min(this.#failures + 1, 1_000);
    const decision = retry === undefined ? undefined : decide(retry, error, attempt);
    if (decision !== undefined) return decision;
    const errorClass = classify(error);
    if (errorClass === 'permanent') return 'stop';
    if (jitter === 'none') return ceilingMs;
    // Two clients that share an identifier would else take the session from each other many times a second.
    const floorMs = errorClass === 'takeover' ? ceilingMs / 2 : 0;
    return floorMs + this.#random() * (ceilingMs - floorMs);
  }
}

function decide(
  retry: NonNullable<BackoffOptions['retry']>,
  error: MqttError,
  attempt: number,
): number | 'stop' | MqttError | undefined {
  let decision: unknown;
  try {
    decision = retry(error, attempt);
  } catch (cause) {
    return new MqttStateError('reconnect.retry threw, so the event loop cannot tell when to connect again', { cause });
  }
  if (decision === undefined || decision === 'stop' || (typeof decision === 'number' && decision >= 0)) return decision;
  return new MqttStateError(
    `reconnect.retry returned ${typeof decision} instead of a delay in milliseconds, "stop" or undefined`,
  );
}
