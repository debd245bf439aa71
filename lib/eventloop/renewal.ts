import { sleep, type Clock, type Timer } from './clock.js';
import { MqttTimeoutError, type MqttError } from './errors.js';
import type { CredentialsRenewalFailedEvent } from './events.js';
import { Backoff, type BackoffOptions } from './reconnect/backoff.js';

/** Of the lifetime that is left when credentials are taken into use. */
const DEFAULT_LEAD_FRACTION = 0.1;
const MOST_DEFAULT_LEAD_MS = 300_000;
/** However long `renewBeforeSeconds` is, credentials are used for some of their life. */
const MOST_LEAD_FRACTION = 0.25;

/** @internal */
export interface RenewalOptions {
  readonly renewBeforeSeconds: number | undefined;
  readonly connectTimeoutMs: number;
  readonly reconnect: Omit<BackoffOptions, 'retry'>;
}

/** @internal */
export interface RenewalHost {
  /** Gets fresh credentials and puts them to use. Throws an {@link MqttError}. */
  renew(expiresAtMs: number, signal: AbortSignal): Promise<void>;
  failed(event: CredentialsRenewalFailedEvent): void;
}

/**
 * Renews the credentials of a connection before they expire: one timer, and none for what does not expire. A failure leaves the
 * connection alone; further tries follow with growing delays until the credentials have expired.
 *
 * @internal
 */
export class Renewal {
  readonly #host: RenewalHost;
  readonly #clock: Clock;
  readonly #random: () => number;
  #timer: Timer | undefined;
  #work: AbortController | undefined;

  constructor(host: RenewalHost, clock: Clock, random: () => number) {
    this.#host = host;
    this.#clock = clock;
    this.#random = random;
  }

  /** These credentials are in use from now on. @param expiresAtMs by the time of day */
  begin(expiresAtMs: number, options: RenewalOptions): void {
    this.end();
    if (expiresAtMs === Infinity) return;
    const lifetimeMs = expiresAtMs - this.#clock.epochMs();
    const waitMs = Math.max(0, lifetimeMs - leadMs(lifetimeMs, options.renewBeforeSeconds, this.#random()));
    const backoff = new Backoff({ ...options.reconnect, retry: undefined }, this.#random);
    this.#timer = this.#clock.startTimer(() => void this.#renew(expiresAtMs, options, backoff), waitMs);
  }

  /** The connection has ended, or what is renewed is in use. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#work?.abort();
    this.#work = undefined;
  }

  async #renew(expiresAtMs: number, options: RenewalOptions, backoff: Backoff): Promise<void> {
    const work = (this.#work = new AbortController());
    for (;;) {
      const cause = await this.#try(expiresAtMs, options.connectTimeoutMs, work.signal);
      if (cause === undefined || work.signal.aborted) return;
      const delayMs = backoff.next(cause, 0);
      const willRetry = typeof delayMs === 'number' && this.#clock.epochMs() + delayMs < expiresAtMs;
      const willRetryInMs = willRetry ? delayMs : undefined;
      this.#host.failed({ cause, willRetryInMs, expiresAt: new Date(expiresAtMs) });
      // What comes next is the server's to decide; it may look at credentials only when we connect.
      if (willRetryInMs === undefined) return;
      await sleep(this.#clock, willRetryInMs, work.signal);
      if (work.signal.aborted) return;
    }
  }

  /** @returns why it failed */
  async #try(expiresAtMs: number, timeoutMs: number, stop: AbortSignal): Promise<MqttError | undefined> {
    const deadline = new AbortController();
    const timer = this.#clock.startTimer(
      () => deadline.abort(new MqttTimeoutError('the renewal of the credentials', timeoutMs, 'not-sent')),
      timeoutMs,
    );
    try {
      await this.#host.renew(expiresAtMs, AbortSignal.any([stop, deadline.signal]));
      return undefined;
    } catch (cause) {
      return cause as MqttError;
    } finally {
      timer.cancel();
    }
  }
}

/** Spread by a factor of up to two, so that devices that connected together do not renew together. */
function leadMs(lifetimeMs: number, renewBeforeSeconds: number | undefined, random: number): number {
  const wantedMs =
    renewBeforeSeconds === undefined
      ? Math.min(lifetimeMs * DEFAULT_LEAD_FRACTION, MOST_DEFAULT_LEAD_MS)
      : renewBeforeSeconds * 1_000;
  return Math.min(wantedMs, lifetimeMs * MOST_LEAD_FRACTION) * (1 + random);
}
