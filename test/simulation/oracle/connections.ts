import type { ConnectedEvent, DisconnectedEvent } from '../../../lib/eventloop/events.js';
import type { SimulationClock } from '../clock.js';
import type { Link } from '../network.js';
import type { ClientOptions } from '../program.js';
import type { Report } from './report.js';

/** Writes may be a little slow, and a ping is written only when the write before it is through. */
const WRITES_MS = 250;
const ROUNDING_MS = 1e-6;

/** Events in pairs, backoff as configured, dead links found in time. */
export class ConnectionOracle {
  readonly #clock: SimulationClock;
  readonly #options: ClientOptions;
  readonly #report: Report;
  #connectedAtMs: number | undefined;
  #readingPausedMs = 0;
  #wasPaused = false;
  /** How many failures the backoff may have counted. */
  #failures = new Set([0]);
  #nextDialAtMs: number | undefined;

  constructor(clock: SimulationClock, options: ClientOptions, report: Report) {
    this.#clock = clock;
    this.#options = options;
    this.#report = report;
  }

  connected({ sessionPresent }: ConnectedEvent): void {
    if (this.#connectedAtMs !== undefined) this.#report('events come in pairs', 'connected twice');
    this.#connectedAtMs = this.#clock.nowMs;
    if (sessionPresent && this.#options.clean && (this.#options.sessionExpirySeconds ?? 0) === 0) {
      this.#report('clean is clean', 'a session is present');
    }
  }

  disconnected({ cause, willRetryInMs }: DisconnectedEvent, link: Link | undefined): void {
    const mayBeDead = link === undefined || link.silentSinceMs !== undefined || link.wasFrozen;
    if (cause.code === 'MQTT_KEEP_ALIVE_TIMEOUT' && !mayBeDead) {
      this.#report('a living link is kept', `link ${link.number} is given up: ${cause.message}`);
    }
    const lastedMs = this.#connectedAtMs === undefined ? undefined : this.#clock.nowMs - this.#connectedAtMs;
    this.#connectedAtMs = undefined;
    const { minDelayMs, maxDelayMs, factor, jitter, stableAfterMs } = this.#options.reconnect;
    if (lastedMs !== undefined && lastedMs >= stableAfterMs) this.#failures = new Set([0]);
    if (willRetryInMs === undefined || cause.code === 'MQTT_INVALID_STATE') return;
    const ceiling = (failures: number): number => Math.min(maxDelayMs, minDelayMs * factor ** failures);
    const possible = [...this.#failures].filter((failures) =>
      jitter === 'none'
        ? Math.abs(ceiling(failures) - willRetryInMs) < ROUNDING_MS
        : willRetryInMs <= ceiling(failures) + ROUNDING_MS,
    );
    if (possible.length === 0) {
      const expected = Array.from(this.#failures, ceiling).join(' or ');
      this.#report(
        'backoff grows until a stable connection',
        `next attempt in ${willRetryInMs} ms, ceiling ${expected}`,
      );
    }
    this.#failures = new Set(possible.map((failures) => failures + 1));
    this.#nextDialAtMs = this.#clock.nowMs + willRetryInMs;
  }

  /** The application asks for a connection now: earlier failures may be forgotten. */
  demanded(): void {
    this.#failures.add(0);
    this.#nextDialAtMs = undefined;
  }

  dialled(): void {
    const dueMs = this.#nextDialAtMs;
    this.#nextDialAtMs = undefined;
    if (dueMs !== undefined && Math.abs(this.#clock.nowMs - dueMs) > ROUNDING_MS) {
      this.#report('backoff is kept', `the next attempt was due at ${dueMs} ms`);
    }
  }

  /** A link that nothing comes through any more is given up within one and a half times the keep alive. */
  check(link: Link | undefined, isAccepted: boolean, readingPaused: boolean): void {
    if (this.#wasPaused || readingPaused) this.#readingPausedMs = this.#clock.nowMs;
    this.#wasPaused = readingPaused;
    const { keepAliveSeconds } = this.#options;
    if (link?.silentSinceMs === undefined || !link.isOpenAtClient || !isAccepted || keepAliveSeconds === 0) return;
    if (this.#connectedAtMs === undefined) return;
    const silentMs = this.#clock.nowMs - Math.max(link.silentSinceMs, this.#readingPausedMs);
    if (silentMs > keepAliveSeconds * 1_500 + WRITES_MS) {
      this.#report(
        'a dead link is found in 1.5 x keep alive',
        `silent for ${silentMs} ms, keep alive ${keepAliveSeconds} s`,
      );
    }
  }

  closed(): void {
    if (this.#connectedAtMs !== undefined) this.#report('events come in pairs', 'closed without disconnected');
  }
}
