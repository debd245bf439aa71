import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../../lib/testing/index.js';

function turns(count: number): Promise<void> {
  return count === 0
    ? Promise.resolve()
    : new Promise<void>((resolve) => setImmediate(resolve)).then(() => turns(count - 1));
}

describe('VirtualClock', () => {
  it('stands still until it is advanced, and then moves by exactly that much', async () => {
    const clock = new VirtualClock({ startMs: 500 });
    await clock.settle();
    expect(clock.now()).toBe(500);
    await clock.advance(250.5);
    expect(clock.now()).toBe(750.5);
  });

  it('runs each due timer at its own instant, in the order of due times', async () => {
    const clock = new VirtualClock();
    const fired: [string, number][] = [];
    for (const [name, delayMs] of [
      ['late', 300],
      ['early', 100],
      ['middle', 200],
      ['not yet', 401],
    ] as const) {
      clock.startTimer(() => fired.push([name, clock.now()]), delayMs);
    }
    await clock.advance(400);
    expect(fired).toEqual([
      ['early', 100],
      ['middle', 200],
      ['late', 300],
    ]);
    expect(clock.pendingTimers).toBe(1);
    expect(clock.nextTimerInMs).toBe(1);
  });

  it('runs timers of the same instant in the order in which they were started', async () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    clock.startTimer(() => fired.push(1), 50);
    await clock.advance(20);
    clock.startTimer(() => fired.push(2), 30);
    clock.startTimer(() => fired.push(3), 30);
    await clock.advance(30);
    expect(fired).toEqual([1, 2, 3]);
  });

  it('never fires a cancelled timer, not even one that another timer of the same instant cancels', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.startTimer(() => second.cancel(), 10);
    const second = clock.startTimer(() => fired.push('second'), 10);
    const third = clock.startTimer(() => fired.push('third'), 10);
    third.cancel();
    third.cancel();
    await clock.advance(10);
    expect(fired).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
    expect(clock.nextTimerInMs).toBeUndefined();
  });

  it('lets a timer settle what it set in motion, new timers included, before the next timer runs', async () => {
    const clock = new VirtualClock();
    const log: string[] = [];
    clock.startTimer(() => {
      log.push(`first at ${clock.now()}`);
      void turns(3).then(() => clock.startTimer(() => log.push(`follow-up at ${clock.now()}`), 5));
    }, 10);
    clock.startTimer(() => log.push(`second at ${clock.now()}`), 20);
    await clock.advance(100);
    expect(log).toEqual(['first at 10', 'follow-up at 15', 'second at 20']);
  });

  it('lets what the test has just called arm its timers before time moves', async () => {
    const clock = new VirtualClock();
    let firedAtMs: number | undefined;
    void turns(2).then(() => clock.startTimer(() => (firedAtMs = clock.now()), 10));
    await clock.advance(10);
    expect(firedAtMs).toBe(10);
  });

  it('fires timers whose due time is a sum of fractions that misses the target by a rounding error', async () => {
    const clock = new VirtualClock();
    let fired = 0;
    const rearm = (): void => void clock.startTimer(() => (++fired < 10 ? rearm() : undefined), 0.1);
    rearm();
    for (let step = 0; step < 10; step++) await clock.advance(0.1);
    expect(fired).toBe(10);
  });

  it('runs a timer without delay on the next advance, never inside startTimer', async () => {
    const clock = new VirtualClock();
    let fired = false;
    clock.startTimer(() => (fired = true), -5);
    await clock.settle();
    expect(fired).toBe(false);
    await clock.advance(0);
    expect(fired).toBe(true);
  });

  it('fails the advance when a timer throws', async () => {
    const clock = new VirtualClock();
    clock.startTimer(() => {
      throw new Error('from the timer');
    }, 1);
    await expect(clock.advance(1)).rejects.toThrow('from the timer');
    await clock.advance(1);
  });

  it('explains a timer that starts itself again without delay', async () => {
    const clock = new VirtualClock({ settleTurns: 0 });
    const rearm = (): void => void clock.startTimer(rearm, 0);
    rearm();
    await expect(clock.advance(1)).rejects.toThrow('starts itself again without delay');
  });

  it('refuses nonsense: time that runs backwards, delays that are no number, two advances at once', async () => {
    const clock = new VirtualClock();
    await expect(clock.advance(-1)).rejects.toThrow(RangeError);
    expect(() => clock.startTimer(() => undefined, Number.NaN)).toThrow(RangeError);
    const first = clock.advance(1);
    await expect(clock.advance(1)).rejects.toThrow('await one advance()');
    await first;
  });
});
