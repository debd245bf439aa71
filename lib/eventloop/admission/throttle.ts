/** @internal */
export interface ThrottleRates {
  readonly messagesPerSecond: number;
  readonly burst: number;
  readonly bytesPerSecond: number | undefined;
}

/**
 * How much lateness may be made up for. A timer wakes late, by a millisecond or by a busy thread's tenth of a second; without
 * making up for it the average rate would drop, and with no limit a long stall would end in a flood.
 */
const CATCH_UP_MS = 250;

/** Due times are sums of fractions. A wait this short is their rounding: a timer for it could fire at the very same instant, for ever. */
const ROUNDING_MS = 1e-6;

/**
 * Spaces messages evenly by their theoretical sending times (the generic cell rate algorithm), which needs no timer per
 * message and is exact from 0.001 to millions a second. It lives as long as the loop: a reconnect does not refill it.
 *
 * @internal
 */
export class Throttle {
  #rates: ThrottleRates | undefined;
  /** When the next message is due if messages are evenly spaced. */
  #messageDueMs = 0;
  #bytesDueMs = 0;
  /** Something has waited since the throttle was last idle: lateness is a timer's, not the callers'. */
  #holding = false;

  constructor(rates: ThrottleRates | undefined) {
    this.#rates = rates;
  }

  /** Another rate counts from now on: what was sent at the old one may have been due hours from now. */
  configure(rates: ThrottleRates | undefined): void {
    const { messagesPerSecond, burst, bytesPerSecond } = this.#rates ?? {};
    if (rates?.messagesPerSecond !== messagesPerSecond || rates?.burst !== burst) this.#messageDueMs = 0;
    if (rates?.bytesPerSecond !== bytesPerSecond) this.#bytesDueMs = 0;
    this.#rates = rates;
  }

  get isOn(): boolean {
    return this.#rates !== undefined;
  }

  /** Milliseconds until one more message may leave; 0 for now. */
  waitMs(nowMs: number): number {
    if (this.#rates === undefined) return 0;
    const waitMs = this.#dueMs(this.#rates) - nowMs;
    if (waitMs <= ROUNDING_MS) return 0;
    this.#holding = true;
    return waitMs;
  }

  /** A message of this size leaves now. */
  take(nowMs: number, bytes: number): void {
    if (this.#rates === undefined) return;
    const { messagesPerSecond, bytesPerSecond } = this.#rates;
    // Late is later than both rates allowed: one rate makes up for nothing while the other holds the message back.
    const sentMs = this.#holding ? Math.max(this.#dueMs(this.#rates), nowMs - CATCH_UP_MS) : nowMs;
    this.#messageDueMs = Math.max(this.#messageDueMs, sentMs) + 1000 / messagesPerSecond;
    // A message may leave when the bytes before it are paid for, so one larger than a second's worth leaves too.
    if (bytesPerSecond !== undefined) {
      this.#bytesDueMs = Math.max(this.#bytesDueMs, sentMs) + (bytes * 1000) / bytesPerSecond;
    }
  }

  /** When the next message may leave. */
  #dueMs({ messagesPerSecond, burst }: ThrottleRates): number {
    return Math.max(this.#messageDueMs - ((burst - 1) * 1000) / messagesPerSecond, this.#bytesDueMs);
  }

  /** Nothing waits for the throttle any more: time that passes unused earns no credit beyond the burst. */
  idle(): void {
    this.#holding = false;
  }
}
