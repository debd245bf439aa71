import { VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, it } from 'vitest';
import { Alarms, type Alarm } from '../../../lib/eventloop/alarms.js';

function alarmOf(ring: () => void): Alarm {
  return { dueAtMs: 0, heapIndex: -1, order: 0, ring };
}

describe('alarms', () => {
  it('ring in the order of their times, each at its own, all on one timer', async () => {
    const clock = new VirtualClock();
    const alarms = new Alarms(clock);
    const rung: [number, number][] = [];
    const delays = Array.from({ length: 500 }, (_, index) => (index * 7_919) % 1_009);
    for (const delay of delays)
      alarms.set(
        alarmOf(() => void rung.push([delay, clock.now()])),
        delay,
      );
    expect([alarms.size, clock.pendingTimers]).toEqual([500, 1]);

    await clock.advance(1_009);

    expect(rung.map(([delay]) => delay)).toEqual(delays.toSorted((a, b) => a - b));
    expect(rung.filter(([delay, at]) => delay !== at)).toEqual([]);
    expect([alarms.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('that are cancelled do not ring, wherever they stand', async () => {
    const clock = new VirtualClock();
    const alarms = new Alarms(clock);
    const rung: number[] = [];
    const all = Array.from({ length: 200 }, (_, index) => alarmOf(() => void rung.push(index)));
    all.forEach((alarm, index) => alarms.set(alarm, 1 + ((index * 37) % 101)));

    all.forEach((alarm, index) => {
      if (index % 3 === 0) alarms.cancel(alarm);
      if (index % 3 === 0) alarms.cancel(alarm);
    });
    await clock.advance(200);

    expect(rung.toSorted((a, b) => a - b)).toEqual(all.map((_, index) => index).filter((index) => index % 3 !== 0));
  });

  it('can be set again while they ring', async () => {
    const clock = new VirtualClock();
    const alarms = new Alarms(clock);
    const rung: number[] = [];
    const alarm = alarmOf(() => {
      rung.push(clock.now());
      if (rung.length < 3) alarms.set(alarm, 10);
    });
    alarms.set(alarm, 5);

    await clock.advance(100);

    expect(rung).toEqual([5, 15, 25]);
  });

  it('leave no timer when they are stopped', () => {
    const clock = new VirtualClock();
    const alarms = new Alarms(clock);
    alarms.set(
      alarmOf(() => undefined),
      5,
    );

    alarms.stop();

    expect(clock.pendingTimers).toBe(0);
  });
});
