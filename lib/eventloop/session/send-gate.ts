import { Throttle, type ThrottleRates } from '../admission/throttle.js';
import type { PacketWriter } from '../codec/writer.js';
import type { Counters } from './counters.js';

/**
 * Lets packets out as far as throttle and writer have room for them, and counts how long the throttle held something back.
 *
 * @internal
 */
export class SendGate {
  readonly #throttle: Throttle;
  readonly #counters: Counters;
  readonly #onThrottled: (waitMs: number) => void;
  #nextSendMs = Infinity;
  #throttledSinceMs: number | undefined;

  constructor(rates: ThrottleRates | undefined, counters: Counters, onThrottled: (waitMs: number) => void) {
    this.#throttle = new Throttle(rates);
    this.#counters = counters;
    this.#onThrottled = onThrottled;
  }

  configure(rates: ThrottleRates | undefined): void {
    this.#throttle.configure(rates);
  }

  /** There is a throttle. */
  get hasThrottle(): boolean {
    return this.#throttle.isOn;
  }

  /** The throttle holds something back. */
  get isThrottled(): boolean {
    return this.#throttledSinceMs !== undefined;
  }

  /** When what the throttle holds back may leave. */
  get nextSendMs(): number {
    return this.#nextSendMs;
  }

  /** Something is about to be written. */
  open(): void {
    this.#nextSendMs = Infinity;
  }

  /** Takes so many bytes from the throttle, if it and the writer have room for them. */
  mayLeave(bytes: number, writer: PacketWriter, nowMs: number): boolean {
    const waitMs = this.#throttle.waitMs(nowMs);
    if (waitMs > 0) {
      this.#nextSendMs = nowMs + waitMs;
      this.#holdBack(nowMs, waitMs);
      return false;
    }
    if (!writer.hasRoom(bytes)) return false;
    this.#throttle.take(nowMs, bytes);
    return true;
  }

  /** Nothing waits for the throttle any more. */
  idle(nowMs: number): void {
    this.#throttle.idle();
    this.#nextSendMs = Infinity;
    if (this.#throttledSinceMs === undefined) return;
    this.#counters.throttleWaitMs += nowMs - this.#throttledSinceMs;
    this.#throttledSinceMs = undefined;
  }

  #holdBack(nowMs: number, waitMs: number): void {
    const sinceMs = this.#throttledSinceMs;
    this.#throttledSinceMs = nowMs;
    if (sinceMs === undefined) this.#onThrottled(waitMs);
    else this.#counters.throttleWaitMs += nowMs - sinceMs;
  }
}
