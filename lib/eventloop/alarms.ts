import type { Clock, Timer } from './clock.js';

/** Something to be called at a time. It is in at most one {@link Alarms}, once. @internal */
export interface Alarm {
  dueAtMs: number;
  /** Where the heap has it; -1 = nowhere. */
  heapIndex: number;
  /** Of alarms for the same time the one that was set first rings first. */
  order: number;
  ring(): void;
}

/**
 * Any number of alarms on one timer: a binary heap through the alarms themselves, so that each costs one slot of an array.
 *
 * @internal
 */
export class Alarms {
  readonly #clock: Clock;
  readonly #heap: Alarm[] = [];
  #timer: Timer | undefined;
  #timerDueAtMs = Infinity;
  #nextOrder = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** In no order. */
  pending(): readonly Alarm[] {
    return [...this.#heap];
  }

  set(alarm: Alarm, delayMs: number): void {
    alarm.dueAtMs = this.#clock.now() + delayMs;
    alarm.order = this.#nextOrder++;
    alarm.heapIndex = this.#heap.length;
    this.#heap.push(alarm);
    this.#up(alarm);
    this.#arm();
  }

  /** Idempotent. The timer stays as it is: one that fires for nothing costs less than moving it each time. */
  cancel(alarm: Alarm): void {
    const { heapIndex } = alarm;
    if (heapIndex < 0) return;
    alarm.heapIndex = -1;
    const last = this.#heap.pop()!;
    if (last !== alarm) {
      this.#put(last, heapIndex);
      this.#up(last);
      this.#down(last);
    }
  }

  /** Leaves no timer. Alarms that are set later ring all the same. */
  stop(): void {
    this.#disarm();
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.dueAtMs >= this.#timerDueAtMs) return;
    this.#timer?.cancel();
    this.#timerDueAtMs = first.dueAtMs;
    this.#timer = this.#clock.startTimer(this.#ring, Math.max(0, first.dueAtMs - this.#clock.now()));
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueAtMs = Infinity;
  }

  readonly #ring = (): void => {
    this.#disarm();
    const nowMs = this.#clock.now();
    for (let first = this.#heap[0]; first !== undefined && first.dueAtMs <= nowMs; first = this.#heap[0]) {
      this.cancel(first);
      first.ring();
    }
    this.#arm();
  };

  #put(alarm: Alarm, index: number): void {
    this.#heap[index] = alarm;
    alarm.heapIndex = index;
  }

  #up(alarm: Alarm): void {
    while (alarm.heapIndex > 0) {
      const parent = this.#heap[(alarm.heapIndex - 1) >> 1]!;
      if (ringsBefore(parent, alarm)) return;
      const index = alarm.heapIndex;
      this.#put(alarm, parent.heapIndex);
      this.#put(parent, index);
    }
  }

  #down(alarm: Alarm): void {
    for (;;) {
      const left = this.#heap[2 * alarm.heapIndex + 1];
      const right = this.#heap[2 * alarm.heapIndex + 2];
      if (left === undefined) return;
      const child = right !== undefined && ringsBefore(right, left) ? right : left;
      if (ringsBefore(alarm, child)) return;
      const index = alarm.heapIndex;
      this.#put(alarm, child.heapIndex);
      this.#put(child, index);
    }
  }
}

function ringsBefore(a: Alarm, b: Alarm): boolean {
  return a.dueAtMs < b.dueAtMs || (a.dueAtMs === b.dueAtMs && a.order < b.order);
}
