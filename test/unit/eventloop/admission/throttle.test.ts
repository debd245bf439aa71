import { describe, expect, test } from 'vitest';
import { Throttle, type ThrottleRates } from '../../../../lib/eventloop/admission/throttle.js';

function rates(messagesPerSecond: number, more: Partial<ThrottleRates> = {}): ThrottleRates {
  return { messagesPerSecond, burst: 1, bytesPerSecond: undefined, ...more };
}

const onTime = (): number => 0;

/** Sends as fast as the throttle lets it; its timer is late by `late()`. @returns when each message left */
function sendingTimes(
  throttle: Throttle,
  count: number,
  { startMs = 0, bytes = 1, late = onTime }: { startMs?: number; bytes?: number; late?: () => number } = {},
): number[] {
  const times: number[] = [];
  let nowMs = startMs;
  while (times.length < count) {
    const waitMs = throttle.waitMs(nowMs);
    if (waitMs > 0) {
      nowMs += waitMs + late();
      continue;
    }
    throttle.take(nowMs, bytes);
    times.push(nowMs);
  }
  return times;
}

describe.each([0.5, 5, 20_000])('%d messages a second', (perSecond) => {
  const spacingMs = 1_000 / perSecond;

  test('the first leaves at once, and then they are evenly spaced', () => {
    const times = sendingTimes(new Throttle(rates(perSecond)), 50, { startMs: 1_000 });
    for (const [index, timeMs] of times.entries()) expect(timeMs).toBeCloseTo(1_000 + index * spacingMs, 6);
  });

  test('a burst of 4 leaves back to back, and then they are evenly spaced', () => {
    const times = sendingTimes(new Throttle(rates(perSecond, { burst: 4 })), 20);
    expect(times.slice(0, 4)).toEqual([0, 0, 0, 0]);
    for (let i = 4; i < 20; i++) expect(times[i]).toBeCloseTo((i - 3) * spacingMs, 6);
  });

  test('idle time is worth one burst, however long it was', () => {
    const throttle = new Throttle(rates(perSecond, { burst: 4 }));
    sendingTimes(throttle, 10);
    throttle.idle();
    const times = sendingTimes(throttle, 6, { startMs: 1e9 });
    expect(times.slice(0, 4)).toEqual([1e9, 1e9, 1e9, 1e9]);
    expect(times[4]! - 1e9).toBeCloseTo(spacingMs, 4);
  });

  test('a clock that fires late by up to a tenth of the catch-up keeps the average', () => {
    let step = 0;
    const times = sendingTimes(new Throttle(rates(perSecond)), 2_000, { late: () => (step++ % 7) * 4 });
    const perfectMs = 1_999 * spacingMs;
    expect(times.at(-1)! - perfectMs).toBeGreaterThanOrEqual(-1e-6);
    expect(times.at(-1)! - perfectMs).toBeLessThanOrEqual(24 + spacingMs);
  });
});

test('a stall is made up for by 250 ms at most: it does not end in a flood', () => {
  const throttle = new Throttle(rates(100));
  throttle.take(0, 1);
  expect(throttle.waitMs(0)).toBe(10);
  const times = sendingTimes(throttle, 100, { startMs: 60_000 });
  expect(times.filter((timeMs) => timeMs === 60_000).length).toBeLessThanOrEqual(26);
  expect(times.filter((timeMs) => timeMs === 60_000).length).toBeGreaterThanOrEqual(25);
});

test('bytes: a message may leave when those before it are paid for', () => {
  const throttle = new Throttle(rates(1_000_000, { bytesPerSecond: 1_000 }));
  expect(sendingTimes(throttle, 4, { bytes: 500 })).toEqual([0, 500, 1_000, 1_500]);
});

test('bytes: one larger than a second of them leaves too, and is paid for afterwards', () => {
  const throttle = new Throttle(rates(1_000_000, { bytesPerSecond: 1_000 }));
  throttle.take(0, 5_000);
  expect(throttle.waitMs(0)).toBe(5_000);
  expect(throttle.waitMs(5_000)).toBe(0);
});

test('messages and bytes: the slower of both counts, and the faster saves up nothing meanwhile', () => {
  const throttle = new Throttle(rates(10, { bytesPerSecond: 1_000 }));
  const small = sendingTimes(throttle, 5, { bytes: 1 });
  small.forEach((timeMs, index) => expect(timeMs).toBeCloseTo(index * 100, 6));
  throttle.idle();
  const large = sendingTimes(throttle, 3, { startMs: 10_000, bytes: 2_000 });
  large.forEach((timeMs, index) => expect(timeMs).toBeCloseTo(10_000 + index * 2_000, 6));
  const after = sendingTimes(throttle, 3, { startMs: 16_000, bytes: 1 });
  expect(after[1]! - after[0]!).toBeCloseTo(100, 6);
  expect(after[2]! - after[1]!).toBeCloseTo(100, 6);
});

test('without rates nothing waits', () => {
  const throttle = new Throttle(undefined);
  throttle.take(0, 1e9);
  expect(throttle.waitMs(0)).toBe(0);
});

test('other rates count at once, in both directions', () => {
  const throttle = new Throttle(rates(0.001));
  throttle.take(0, 1);
  expect(throttle.waitMs(0)).toBe(1_000_000);
  throttle.configure(rates(10));
  expect(sendingTimes(throttle, 3)).toEqual([0, 100, 200]);
  throttle.configure(undefined);
  expect(throttle.waitMs(0)).toBe(0);
});

test('the same rates again do not refill it', () => {
  const throttle = new Throttle(rates(1, { bytesPerSecond: 10 }));
  throttle.take(0, 100);
  throttle.configure(rates(1, { bytesPerSecond: 10 }));
  expect(throttle.waitMs(0)).toBe(10_000);
});

test('a wait that is nothing but rounding is none: a timer for it could fire at the same instant for ever', () => {
  const throttle = new Throttle(rates(50));
  throttle.take(493.1, 1);
  const dueMs = 493.1 + throttle.waitMs(493.1);
  expect(throttle.waitMs(dueMs - 1e-13 * dueMs)).toBe(0);
});
