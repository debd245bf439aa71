import type { EventLoop, MessageDroppedEvent } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

/** Publishes `1` to `count` while there is no connection, each in a call of its own. */
function flood(loop: EventLoop, count: number, size = 1): Watched<unknown>[] {
  return Array.from({ length: count }, (_, index) => watch(loop.publish('a', `${index + 1}`.padEnd(size), { qos: 1 })));
}

function states(watched: readonly Watched<unknown>[]): string {
  return watched.map(({ state, error }) => (state === 'rejected' ? (error as { code: string }).code : state)).join(' ');
}

/** Acknowledges everything and returns what came. */
async function take(connection: ScriptedConnection, count: number): Promise<string[]> {
  const payloads: string[] = [];
  for (let i = 0; i < count; i++) {
    const packet = await connection.next('publish');
    payloads.push(packet.payload.toString().trim());
    connection.puback(packet);
  }
  return payloads;
}

function dropped(loop: EventLoop): MessageDroppedEvent[] {
  const events: MessageDroppedEvent[] = [];
  loop.on('message-dropped', (event) => events.push(event));
  return events;
}

describe('wait', () => {
  test('callers wait in a bounded line, further ones reject; everything accepted is sent in the order of the calls', async () => {
    const { loop, clock, connect } = scriptedLoop({ requestCapacity: 2, maxWaiters: 3 });
    const events = dropped(loop);
    const publishes = flood(loop, 7);
    await clock.settle();
    expect(states(publishes)).toBe('pending pending pending pending pending MQTT_QUEUE_FULL MQTT_QUEUE_FULL');
    expect(publishes[5]!.error).toMatchObject({
      name: 'MqttQueueFullError',
      limit: 'maxWaiters',
      limitValue: 3,
      delivery: 'not-sent',
      message: expect.stringContaining('raise maxWaiters') as string,
    });
    expect(loop.stats()).toMatchObject({ queued: 2, waiting: 3, publishesFailed: 2, publishesDropped: 0 });
    const connection = await connect();
    expect(await take(connection, 5)).toEqual(['1', '2', '3', '4', '5']);
    await clock.settle();
    expect(states(publishes.slice(0, 5))).toBe('resolved resolved resolved resolved resolved');
    expect(events).toEqual([]);
  });

  test('no line at all: maxWaiters 0 rejects at once', async () => {
    const { loop, clock } = scriptedLoop({ requestCapacity: 1, maxWaiters: 0 });
    const publishes = flood(loop, 2);
    await clock.settle();
    expect(states(publishes)).toBe('pending MQTT_QUEUE_FULL');
  });

  test('the line is first in, first out: a small message does not overtake a large one that waits for room', async () => {
    const { loop, clock, connect } = scriptedLoop({ requestCapacityBytes: 1_024 });
    const publishes = [...flood(loop, 2, 600), watch(loop.publish('a', 'small', { qos: 1 }))];
    await clock.settle();
    expect(loop.stats()).toMatchObject({ queued: 1, waiting: 2 });
    expect(await take(await connect(), 3)).toEqual(['1', '2', 'small']);
    await clock.settle();
    expect(states(publishes)).toBe('resolved resolved resolved');
  });
});

describe('reject', () => {
  test.each([
    ['requestCapacity', { requestCapacity: 2 }, 2, 1],
    ['requestCapacityBytes', { requestCapacityBytes: 1_024 }, 1_024, 400],
  ] as const)('the one that does not fit rejects and names %s', async (limit, options, limitValue, size) => {
    const { loop, clock, connect } = scriptedLoop({ overflow: 'reject', ...options });
    const events = dropped(loop);
    const publishes = flood(loop, 4, size);
    await clock.settle();
    expect(states(publishes)).toBe('pending pending MQTT_QUEUE_FULL MQTT_QUEUE_FULL');
    expect(publishes[2]!.error).toMatchObject({ limit, limitValue, delivery: 'not-sent' });
    await expect(loop.enqueue('a', 'x'.repeat(size))).rejects.toMatchObject({ code: 'MQTT_QUEUE_FULL', limit });
    expect(loop.stats()).toMatchObject({ queued: 2, waiting: 0 });
    expect(await take(await connect(), 2)).toEqual(['1', '2']);
    expect(events).toEqual([]);
  });
});

describe('drop-newest', () => {
  test('the one that does not fit is dropped, counted and told', async () => {
    const { loop, clock, connect } = scriptedLoop({ overflow: 'drop-newest', requestCapacity: 2 });
    const events = dropped(loop);
    const publishes = flood(loop, 4);
    await clock.settle();
    expect(states(publishes)).toBe('pending pending MQTT_MESSAGE_DROPPED MQTT_MESSAGE_DROPPED');
    expect(publishes[2]!.error).toMatchObject({ policy: 'drop-newest', delivery: 'not-sent' });
    await expect(loop.enqueue('a', 'x')).rejects.toMatchObject({ code: 'MQTT_MESSAGE_DROPPED' });
    expect(events).toHaveLength(3);
    expect(events[0]).toEqual({ direction: 'outgoing', topic: 'a', qos: 1, reason: 'drop-newest' });
    expect(loop.stats()).toMatchObject({ queued: 2, waiting: 0, publishesDropped: 3 });
    expect(await take(await connect(), 2)).toEqual(['1', '2']);
  });
});

describe('drop-oldest', () => {
  test('the oldest queued one makes room, is counted and told', async () => {
    const { loop, clock, connect } = scriptedLoop({ overflow: 'drop-oldest', requestCapacity: 2 });
    const events = dropped(loop);
    const publishes = flood(loop, 4);
    await clock.settle();
    expect(states(publishes)).toBe('MQTT_MESSAGE_DROPPED MQTT_MESSAGE_DROPPED pending pending');
    expect(publishes[0]!.error).toMatchObject({ policy: 'drop-oldest', delivery: 'not-sent' });
    expect(events).toEqual(
      Array.from({ length: 2 }, () => ({ direction: 'outgoing', topic: 'a', qos: 1, reason: 'drop-oldest' })),
    );
    expect(loop.stats()).toMatchObject({ queued: 2, waiting: 0, publishesDropped: 2 });
    expect(await take(await connect(), 2)).toEqual(['3', '4']);
    await clock.settle();
    expect(states(publishes.slice(2))).toBe('resolved resolved');
  });

  test('a large one drops as many as it needs', async () => {
    const { loop, clock, connect } = scriptedLoop({ overflow: 'drop-oldest', requestCapacityBytes: 1_024 });
    const publishes = flood(loop, 3, 300);
    publishes.push(watch(loop.publish('a', 'large'.padEnd(700), { qos: 1 })));
    await clock.settle();
    expect(states(publishes)).toBe('MQTT_MESSAGE_DROPPED MQTT_MESSAGE_DROPPED pending pending');
    expect(await take(await connect(), 2)).toEqual(['3', 'large']);
  });

  test('what was sent already is never dropped', async () => {
    const { loop, clock, connect } = scriptedLoop({ overflow: 'drop-oldest', requestCapacity: 1, inflight: 1 });
    const connection = await connect();
    const sent = flood(loop, 1);
    const first = await connection.next('publish');
    const queued = flood(loop, 3);
    await clock.settle();
    expect(states([...sent, ...queued])).toBe('pending MQTT_MESSAGE_DROPPED MQTT_MESSAGE_DROPPED pending');
    connection.puback(first);
    expect(await take(connection, 1)).toEqual(['3']);
    await clock.settle();
    expect(states([...sent, queued[2]!])).toBe('resolved resolved');
  });
});

test.each(['wait', 'reject', 'drop-oldest', 'drop-newest'] as const)(
  '%s: a message that the queue could never hold is refused at once, and nothing is dropped for it',
  async (overflow) => {
    const { loop } = scriptedLoop({ overflow, requestCapacityBytes: 1_024 });
    await loop.enqueue('a', 'kept');
    await expect(loop.publish('a', Buffer.alloc(2_000))).rejects.toMatchObject({
      code: 'MQTT_PACKET_TOO_LARGE',
      limitOf: 'requestCapacityBytes',
      limitBytes: 1_024,
      delivery: 'not-sent',
    });
    expect(loop.stats()).toMatchObject({ queued: 1, waiting: 0, publishesDropped: 0 });
  },
);

test.each(['wait', 'reject', 'drop-oldest', 'drop-newest'] as const)(
  '%s: whatever happens, every publish settles and the sum is right',
  async (overflow) => {
    const { loop, broker, clock } = scriptedLoop({ overflow, requestCapacity: 5, maxWaiters: 5, inflight: 3 });
    const events = dropped(loop);
    const publishes = flood(loop, 50);
    broker.serve();
    await loop.start();
    for (let round = 0; round < 10; round++) {
      publishes.push(...flood(loop, 20));
      await clock.settle();
    }
    expect(publishes.filter(({ state }) => state === 'pending')).toEqual([]);
    const resolved = publishes.filter(({ state }) => state === 'resolved').length;
    expect(loop.stats()).toMatchObject({
      queued: 0,
      waiting: 0,
      inflight: 0,
      publishesCompleted: resolved,
      publishesFailed: publishes.length - resolved,
      publishesDropped: events.length,
    });
    expect(resolved).toBeGreaterThanOrEqual(50);
    expect(resolved).toBeLessThan(publishes.length);
  },
);
