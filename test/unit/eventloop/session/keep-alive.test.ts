import { describe, expect, test } from 'vitest';
import { KeepAlive } from '../../../../lib/eventloop/session/keep-alive.js';

function connected(keepAliveSeconds = 10, pingTimeoutMs?: number): KeepAlive {
  const keepAlive = new KeepAlive();
  keepAlive.connected(0, keepAliveSeconds, pingTimeoutMs);
  return keepAlive;
}

/** The timer fires, and the ping that it wants is written at once. */
function ping(keepAlive: KeepAlive, nowMs: number): void {
  expect(keepAlive.service(nowMs)).toBe(false);
  expect(keepAlive.wantsPing).toBe(true);
  keepAlive.sent(nowMs);
  keepAlive.pingWritten(nowMs);
  expect(keepAlive.wantsPing).toBe(false);
}

describe('a ping is due', () => {
  test('after an interval in which nothing came and nothing went', () => {
    const keepAlive = connected();
    expect(keepAlive.dueMs).toBe(10_000);
    expect(keepAlive.service(9_999)).toBe(false);
    expect(keepAlive.wantsPing).toBe(false);
    ping(keepAlive, 10_000);
  });

  test('after an interval in which nothing came, although we sent: a write proves nothing', () => {
    const keepAlive = connected();
    for (let nowMs = 1_000; nowMs < 10_000; nowMs += 1_000) keepAlive.sent(nowMs);
    expect(keepAlive.dueMs).toBe(10_000);
    ping(keepAlive, 10_000);
  });

  test('after an interval in which nothing went, although something came [MQTT-3.1.2-20]', () => {
    const keepAlive = connected();
    for (let nowMs = 1_000; nowMs < 10_000; nowMs += 1_000) keepAlive.received(nowMs);
    expect(keepAlive.dueMs).toBe(10_000);
    ping(keepAlive, 10_000);
  });

  test('never while both go on', () => {
    const keepAlive = connected();
    for (let nowMs = 1_000; nowMs <= 60_000; nowMs += 1_000) {
      keepAlive.received(nowMs);
      keepAlive.sent(nowMs);
      expect(keepAlive.dueMs).toBe(nowMs + 10_000);
      expect(keepAlive.service(nowMs)).toBe(false);
    }
    expect(keepAlive.wantsPing).toBe(false);
  });

  test('never with an interval of 0, and never without a connection', () => {
    const off = connected(0);
    expect(off.dueMs).toBe(Infinity);
    expect(off.service(1e12)).toBe(false);
    const lost = connected();
    lost.service(10_000);
    lost.disconnected();
    expect([lost.dueMs, lost.wantsPing]).toEqual([Infinity, false]);
  });
});

describe('the link is dead', () => {
  test.each([
    [10, undefined, 5_000],
    [60, undefined, 30_000],
    [600, undefined, 30_000],
    [10, 2_000, 2_000],
    [10, 60_000, 60_000],
  ])(
    'with %i s of keep alive and a ping timeout of %j after %i ms without an answer',
    (seconds, timeoutMs, deadlineMs) => {
      const keepAlive = connected(seconds, timeoutMs);
      ping(keepAlive, seconds * 1_000);
      expect(keepAlive.dueMs).toBe(seconds * 1_000 + deadlineMs);
      expect(keepAlive.service(seconds * 1_000 + deadlineMs - 1)).toBe(false);
      expect(keepAlive.service(seconds * 1_000 + deadlineMs)).toBe(true);
      expect(keepAlive.silentMs(seconds * 1_000 + deadlineMs)).toBe(seconds * 1_000 + deadlineMs);
    },
  );

  test('not when any byte comes in time, PINGRESP or not', () => {
    const keepAlive = connected();
    ping(keepAlive, 10_000);
    keepAlive.received(14_999);
    expect(keepAlive.dueMs).toBe(20_000);
    expect(keepAlive.service(15_000)).toBe(false);
    ping(keepAlive, 20_000);
  });
});

describe('the deadline', () => {
  test('runs from when the ping is written, not from when it was wanted', () => {
    const keepAlive = connected(10, 2_000);
    expect(keepAlive.service(10_000)).toBe(false);
    keepAlive.pingWritten(11_500);
    expect(keepAlive.dueMs).toBe(13_500);
  });

  test('starts over when a write that was in the way of the ping completes', () => {
    const keepAlive = connected(10, 2_000);
    expect(keepAlive.service(10_000)).toBe(false);
    keepAlive.writeCompleted(11_900);
    expect(keepAlive.dueMs).toBe(13_900);
    expect(keepAlive.service(12_000)).toBe(false);
  });

  test('is not moved by writes once the ping is out', () => {
    const keepAlive = connected(10, 2_000);
    ping(keepAlive, 10_000);
    keepAlive.writeCompleted(11_900);
    keepAlive.sent(11_900);
    expect(keepAlive.dueMs).toBe(12_000);
  });

  test('ends a connection whose write never completes, so that the ping never leaves', () => {
    const keepAlive = connected(10, 2_000);
    expect(keepAlive.service(10_000)).toBe(false);
    expect(keepAlive.wantsPing).toBe(true);
    expect(keepAlive.service(12_000)).toBe(true);
  });
});

describe('a timer that is late', () => {
  test('by up to 100 ms is an ordinary one', () => {
    const keepAlive = connected(10, 2_000);
    ping(keepAlive, 10_000);
    expect(keepAlive.service(12_100)).toBe(true);
  });

  test('by more means a busy thread: reading gets a second to catch up, once', () => {
    const keepAlive = connected(10, 2_000);
    ping(keepAlive, 10_000);
    expect(keepAlive.service(30_000)).toBe(false);
    expect(keepAlive.dueMs).toBe(31_000);
    expect(keepAlive.service(31_000)).toBe(true);
  });

  test('gets no longer grace than the ping timeout, and no second one however late it is again', () => {
    const keepAlive = connected(10, 400);
    ping(keepAlive, 10_000);
    expect(keepAlive.service(30_000)).toBe(false);
    expect(keepAlive.dueMs).toBe(30_400);
    expect(keepAlive.service(90_000)).toBe(true);
  });

  test('gets its grace anew after a byte', () => {
    const keepAlive = connected(10, 2_000);
    ping(keepAlive, 10_000);
    expect(keepAlive.service(30_000)).toBe(false);
    keepAlive.received(30_500);
    ping(keepAlive, 40_500);
    expect(keepAlive.service(60_000)).toBe(false);
    expect(keepAlive.service(61_000)).toBe(true);
  });

  test('that only wanted to ping, pings', () => {
    const keepAlive = connected();
    ping(keepAlive, 500_000);
    expect(keepAlive.dueMs).toBe(505_000);
  });
});

test('a new connection starts afresh', () => {
  const keepAlive = connected(10, 2_000);
  ping(keepAlive, 10_000);
  keepAlive.service(30_000);
  keepAlive.disconnected();
  keepAlive.connected(40_000, 5, undefined);
  expect([keepAlive.wantsPing, keepAlive.dueMs]).toEqual([false, 45_000]);
});
