import type { Clock, Timer } from '../eventloop/clock.js';
import { SETTLE_TURNS, settleTurns } from './settle.js';

/** Due times are sums of fractions; a timer this close to the target counts as due. */
const ROUNDING_MS = 1e-6;

/** 2030-01-01T00:00:00Z. */
const START_OF_2030_MS = 1_893_456_000_000;

/** A timer that re-arms itself with no delay would never let `advance` return. */
const MOST_CALLBACKS_AT_ONE_INSTANT = 10_000;

interface ScheduledTimer {
  readonly callback: () => void;
  readonly dueAtMs: number;
}

/**
 * Time that moves only when a test says so.
 *
 * ```ts
 * const clock = new VirtualClock();
 * const loop = new EventLoop(options, { clock, dial: broker.dial });
 * await clock.advance(30_000); // half a minute of keep alive in a millisecond
 * ```
 *
 * @publicApi
 */
export class VirtualClock implements Clock {
  /** In the order of their start, so that equal due times fire first in, first out. */
  readonly #timers = new Set<ScheduledTimer>();
  readonly #settleTurns: number;
  readonly #epochStartMs: number;
  #nowMs: number;
  #advancing = false;

  /**
   * @param options.startMs What `now()` says at first. Default 0.
   * @param options.settleTurns Event loop turns that are given to pending work between two timers. Default 12.
   * @param options.startEpochMs What `epochMs()` says at first. Default: the beginning of 2030.
   */
  constructor(
    options: {
      readonly startMs?: number | undefined;
      readonly settleTurns?: number | undefined;
      readonly startEpochMs?: number | undefined;
    } = {},
  ) {
    this.#nowMs = options.startMs ?? 0;
    this.#epochStartMs = (options.startEpochMs ?? START_OF_2030_MS) - this.#nowMs;
    this.#settleTurns = options.settleTurns ?? SETTLE_TURNS;
  }

  now(): number {
    return this.#nowMs;
  }

  /** Moves with `now()`. */
  epochMs(): number {
    return this.#epochStartMs + this.#nowMs;
  }

  startTimer(callback: () => void, delayMs: number): Timer {
    if (Number.isNaN(delayMs)) throw new RangeError('VirtualClock: the delay of a timer is NaN');
    const timer = { callback, dueAtMs: this.#nowMs + Math.max(0, delayMs) };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Timers that are armed. A closed client leaves none. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** How far away the next timer is; undefined when none is armed. */
  get nextTimerInMs(): number | undefined {
    const next = this.#earliest();
    return next && Math.max(0, next.dueAtMs - this.#nowMs);
  }

  /** Lets promises, `setImmediate` callbacks and in-memory I/O run, without moving time. */
  settle(): Promise<void> {
    return settleTurns(this.#settleTurns);
  }

  /**
   * Moves time forward. Timers that fall due run one by one in the order of their due times, each at its own
   * instant, and whatever they set in motion settles before the next one runs.
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`VirtualClock: cannot advance by ${ms} ms`);
    if (this.#advancing) throw new Error('VirtualClock: await one advance() before the next');
    this.#advancing = true;
    try {
      // First what the test has just called: it may still be about to arm its timers.
      await this.settle();
      await this.#runDue(this.#nowMs + ms);
    } finally {
      this.#advancing = false;
    }
  }

  async #runDue(targetMs: number): Promise<void> {
    let callbacksAtThisInstant = 0;
    for (;;) {
      const timer = this.#earliest();
      if (!timer || timer.dueAtMs > targetMs + ROUNDING_MS) break;
      callbacksAtThisInstant = timer.dueAtMs > this.#nowMs ? 0 : callbacksAtThisInstant + 1;
      if (callbacksAtThisInstant > MOST_CALLBACKS_AT_ONE_INSTANT) {
        throw new Error(`VirtualClock: a timer starts itself again without delay at ${this.#nowMs} ms`);
      }
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, timer.dueAtMs);
      timer.callback();
      await this.settle();
    }
    this.#nowMs = Math.max(this.#nowMs, targetMs);
    await this.settle();
  }

  #earliest(): ScheduledTimer | undefined {
    let earliest: ScheduledTimer | undefined;
    for (const timer of this.#timers) if (!earliest || timer.dueAtMs < earliest.dueAtMs) earliest = timer;
    return earliest;
  }
}
