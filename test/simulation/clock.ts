import type { Clock, Timer } from '../../lib/eventloop/clock.js';

const realSetImmediate = globalThis.setImmediate;
const MOST_TURNS = 2_000;
const MOST_EVENTS_AT_ONE_INSTANT = 5_000;

interface Scheduled {
  readonly dueAtMs: number;
  readonly order: number;
  /** Undefined once it has run or was cancelled. */
  callback: (() => void) | undefined;
}

/** A day in 2026: what tells the time of day must not look like a number of seconds. */
const EPOCH_MS = 1_790_000_000_000;

/**
 * Virtual time for client, network and broker alike. The client's `setImmediate` goes through a queue of our own, so that a step
 * ends exactly when nothing is left to do, after as few turns of the real event loop as that takes.
 */
export class SimulationClock {
  nowMs = 0;
  /** The last step let the client run. */
  wasClientAtWork = true;
  /** Timers of the client that are armed. */
  clientTimers = 0;
  readonly client: Clock = {
    now: () => this.nowMs,
    epochMs: () => EPOCH_MS + this.nowMs,
    startTimer: (callback, delayMs) => this.#startClientTimer(callback, delayMs),
  };
  readonly #heap: Scheduled[] = [];
  #order = 0;
  #immediates: (() => void)[] = [];
  #eventsAtThisInstant = 0;

  /** @returns what restores the real `setImmediate` */
  install(): () => void {
    const before = globalThis.setImmediate;
    globalThis.setImmediate = ((callback: (...given: unknown[]) => void, ...given: unknown[]) => {
      this.#immediates.push(() => callback(...given));
    }) as unknown as typeof setImmediate;
    return () => {
      globalThis.setImmediate = before;
    };
  }

  /** For network, broker and program. */
  schedule(delayMs: number, callback: () => void): Timer {
    const scheduled: Scheduled = { dueAtMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#push(scheduled);
    return { cancel: () => (scheduled.callback = undefined) };
  }

  #startClientTimer(callback: () => void, delayMs: number): Timer {
    let armed = true;
    const disarm = (): void => {
      if (armed) this.clientTimers--;
      armed = false;
    };
    this.clientTimers++;
    const timer = this.schedule(delayMs, () => {
      disarm();
      this.wasClientAtWork = true;
      callback();
    });
    return {
      cancel: () => {
        disarm();
        timer.cancel();
      },
    };
  }

  /** Undefined when nothing is scheduled. */
  get nextDueMs(): number | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.callback === undefined) this.#pop();
    return this.#heap[0]?.dueAtMs;
  }

  /** Runs what is due next, and everything it sets in motion. */
  async step(): Promise<void> {
    if (this.nextDueMs === undefined) return;
    const { dueAtMs, callback } = this.#pop();
    this.#eventsAtThisInstant = dueAtMs > this.nowMs ? 0 : this.#eventsAtThisInstant + 1;
    if (this.#eventsAtThisInstant > MOST_EVENTS_AT_ONE_INSTANT)
      throw new Error('time stands still: a timer re-arms itself');
    this.nowMs = Math.max(this.nowMs, dueAtMs);
    this.wasClientAtWork = false;
    callback!();
    await this.settle();
  }

  /** Lets promises, stream events and the client's pump run, without moving time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < MOST_TURNS; turn++) {
      await new Promise((resolve) => realSetImmediate(resolve));
      if (this.#immediates.length === 0) return;
      this.wasClientAtWork = true;
      const due = this.#immediates;
      this.#immediates = [];
      for (const callback of due) callback();
    }
    throw new Error('the client never comes to rest: setImmediate schedules itself for ever');
  }

  #push(scheduled: Scheduled): void {
    const heap = this.#heap;
    let index = heap.push(scheduled) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isBefore(heap[parent]!, scheduled)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = scheduled;
  }

  #pop(): Scheduled {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(one: Scheduled, other: Scheduled): boolean {
  return one.dueAtMs < other.dueAtMs || (one.dueAtMs === other.dueAtMs && one.order < other.order);
}
