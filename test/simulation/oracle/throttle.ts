import type { SimulationClock } from '../clock.js';
import type { ClientOptions } from '../program.js';
import type { Report } from './report.js';

/** What the client may make up for after it was held up (a write that did not get through, a connection that was lost). */
const CATCH_UP_MS = 250;
const ROUNDING_MS = 1e-6;

/** In no stretch of time does more leave than the throttle allows, whatever connections do meanwhile. */
export class ThrottleOracle {
  readonly #clock: SimulationClock;
  readonly #report: Report;
  #rates: ClientOptions['throttle'];
  /** When the next message, and the next byte, would leave if all were evenly spaced. */
  #messageDueMs = 0;
  #byteDueMs = 0;

  constructor(clock: SimulationClock, rates: ClientOptions['throttle'], report: Report) {
    this.#clock = clock;
    this.#rates = rates;
    this.#report = report;
  }

  configure(rates: ClientOptions['throttle']): void {
    this.#rates = rates;
    this.#messageDueMs = this.#byteDueMs = 0;
  }

  /** At least this far apart are packets of this size. */
  spacingMs(bytes: number): number {
    if (this.#rates === undefined) return 0;
    const { messagesPerSecond, bytesPerSecond = Infinity } = this.#rates;
    return Math.max(1_000 / messagesPerSecond, (bytes * 1_000) / bytesPerSecond);
  }

  sent(what: string, bytes: number): void {
    if (this.#rates === undefined) return;
    const { nowMs } = this.#clock;
    const { messagesPerSecond, burst, bytesPerSecond } = this.#rates;
    const intervalMs = 1_000 / messagesPerSecond;
    const earlyMs = this.#messageDueMs - (burst - 1) * intervalMs - CATCH_UP_MS - nowMs;
    if (earlyMs > ROUNDING_MS) {
      this.#report('the throttle is never exceeded', `${what} leaves ${earlyMs.toFixed(3)} ms too early`);
    }
    this.#messageDueMs = Math.max(this.#messageDueMs, nowMs) + intervalMs;
    if (bytesPerSecond === undefined) return;
    const bytesEarlyMs = this.#byteDueMs - CATCH_UP_MS - nowMs;
    if (bytesEarlyMs > ROUNDING_MS) {
      this.#report(
        'the throttle is never exceeded',
        `${what} leaves ${bytesEarlyMs.toFixed(3)} ms too early for its bytes`,
      );
    }
    this.#byteDueMs = Math.max(this.#byteDueMs, nowMs) + (bytes * 1_000) / bytesPerSecond;
  }
}
