import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { EventLoop } from 'nestjs-rumqtt/eventloop';
import { VirtualClock } from 'nestjs-rumqtt/testing';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { SessionHarness } from './session/session-harness.js';

test('a publish that was turned away listens to no signal and leaves no timer', async () => {
  const clock = new VirtualClock();
  const loop = new EventLoop({ requestCapacity: 1, requestCapacityBytes: 1_024, maxWaiters: 0 }, { clock });
  const { signal } = new AbortController();
  const limits = { signal, timeoutMs: 60_000 };
  expect(loop.tryEnqueue('a', 'fits')).toBeDefined();

  expect(loop.tryEnqueue('a', 'no room', limits)).toBeUndefined();
  await expect(loop.publish('a', 'x'.repeat(2_000), limits)).rejects.toMatchObject({ code: 'MQTT_PACKET_TOO_LARGE' });
  void loop.subscribe('a').catch(() => {});
  await expect(loop.subscribe('b', limits)).rejects.toMatchObject({ code: 'MQTT_QUEUE_FULL' });

  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  expect(clock.pendingTimers).toBe(0);
  await loop.shutdown({ drainTimeoutMs: 0 });
});

test('any number of time limits take one timer, and each ends at its own time', async () => {
  const clock = new VirtualClock();
  const loop = new EventLoop({ requestCapacity: 10_000 }, { clock });
  const ended: number[] = [];
  const publishes = Array.from({ length: 1_000 }, (_, index) =>
    loop.publish('a', 'x', { timeoutMs: 1_000 - index }).catch(() => void ended.push(clock.now())),
  );
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(1_000);
  await Promise.all(publishes);
  expect(ended).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
  expect(clock.pendingTimers).toBe(0);
  await loop.shutdown({ drainTimeoutMs: 0 });
});

test.each([
  ['QoS', { qos: 2 }, { maximumQos: 1 }],
  ['retain', { qos: 1, retain: true }, { retainAvailable: false }],
  ['size', { qos: 1 }, { maximumPacketBytes: 20 }],
] as const)(
  'a resend that the present server cannot take (%s) fails as "unknown": it was sent before',
  async (_name, options, properties) => {
    const harness = new SessionHarness().connected();
    const exchange = harness.publish('a payload of some length', options);
    harness.flush();
    harness.disconnected().connected({ sessionPresent: true, properties });
    const neverSent = harness.publish('a payload of some length', options);
    harness.flush();

    await expect(exchange.completed).rejects.toMatchObject({ delivery: 'unknown' });
    await expect(neverSent.completed).rejects.toMatchObject({ delivery: 'not-sent' });
  },
);

test.each([0, 1] as const)(
  'shutdown after the loop has given up tells whether all had completed (%i publishes open)',
  async (open) => {
    const { loop, clock, connect } = scriptedLoop({ reconnect: { policy: 'never' } });
    const connection = await connect();
    const published = Array.from({ length: open }, () => loop.publish('a', 'b', { qos: 1 }).catch(() => {}));
    await clock.settle();
    connection.cut();
    await clock.advance(1_000);
    await Promise.all(published);
    expect(loop.status).toBe('closed');
    expect(await loop.shutdown()).toEqual({ drained: open === 0 });
  },
);
