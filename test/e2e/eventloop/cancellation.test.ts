import { getEventListeners } from 'node:events';
import type { EventLoop, OperationOptions } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const reason = new Error('the user went away');

/** The two ways to give up, and what they say. */
const ways = [
  [
    'signal',
    (): [OperationOptions, (at: ScriptedLoop) => Promise<void>] => {
      const controller = new AbortController();
      const giveUp = async ({ clock }: ScriptedLoop): Promise<void> => {
        controller.abort(reason);
        await clock.settle();
      };
      return [{ signal: controller.signal }, giveUp];
    },
    { code: 'MQTT_ABORTED', cause: reason },
  ],
  [
    'timeoutMs',
    (): [OperationOptions, (at: ScriptedLoop) => Promise<void>] => [
      { timeoutMs: 500 },
      ({ clock }) => clock.advance(500),
    ],
    { code: 'MQTT_TIMEOUT', timeoutMs: 500 },
  ],
] as const;

describe.each(ways)('%s', (_way, prepare, failure) => {
  test('ends a publish that waits for the queue; it was not sent, and the line moves up', async () => {
    const it = scriptedLoop({ requestCapacity: 1 });
    const [options, giveUp] = prepare();
    const queued = watch(it.loop.publish('a', 'queued', { qos: 1 }));
    const given = watch(it.loop.publish('a', 'given up', { qos: 1, ...options }));
    const waiting = watch(it.loop.enqueue('a', 'waiting', { qos: 1 }));
    expect(it.loop.stats()).toMatchObject({ queued: 1, waiting: 2 });
    await giveUp(it);
    expect(given.error).toMatchObject({ ...failure, operation: 'publish to "a"', delivery: 'not-sent' });
    expect(it.loop.stats()).toMatchObject({ queued: 1, waiting: 1 });
    const connection = await it.connect();
    expect((await connection.next('publish')).payload.toString()).toBe('queued');
    expect((await connection.next('publish')).payload.toString()).toBe('waiting');
    expect([queued.state, waiting.state]).toEqual(['pending', 'resolved']);
    await connection.nothing(it.clock);
  });

  test('ends an enqueue that waits for the queue', async () => {
    const it = scriptedLoop({ requestCapacity: 1 });
    const [options, giveUp] = prepare();
    await it.loop.enqueue('a', 'queued');
    const given = watch(it.loop.enqueue('a', 'given up', options));
    await giveUp(it);
    expect(given.error).toMatchObject({ ...failure, delivery: 'not-sent' });
    expect(it.loop.stats()).toMatchObject({ queued: 1, waiting: 0 });
  });

  test('ends a publish in the queue; it was not sent, and its room is free', async () => {
    const it = scriptedLoop({ requestCapacity: 1 });
    const [options, giveUp] = prepare();
    const delivery = await it.loop.enqueue('a', 'given up', { qos: 1, ...options });
    const completed = watch(delivery.completed);
    const next = watch(it.loop.enqueue('a', 'next', { qos: 1 }));
    await giveUp(it);
    expect(completed.error).toMatchObject({ ...failure, delivery: 'not-sent' });
    expect(next.state).toBe('resolved');
    expect(it.loop.stats()).toMatchObject({ queued: 1, waiting: 0, publishesFailed: 1 });
    const connection = await it.connect();
    expect((await connection.next('publish')).payload.toString()).toBe('next');
    await connection.nothing(it.clock);
  });

  test.each([1, 2] as const)(
    'ends a publish with QoS %i that was sent; the broker may have it, and keeps id and slot until it answers',
    async (qos) => {
      const it = scriptedLoop({ inflight: 1 });
      const connection = await it.connect();
      const [options, giveUp] = prepare();
      const given = watch(it.loop.publish('a', 'given up', { qos, ...options }));
      const next = watch(it.loop.publish('a', 'next', { qos: 1 }));
      const packet = await connection.next('publish');
      await giveUp(it);
      expect(given.error).toMatchObject({ ...failure, delivery: 'unknown' });
      await connection.nothing(it.clock);
      expect(it.loop.stats()).toMatchObject({ inflight: 1, queued: 1 });
      if (qos === 1) connection.puback(packet);
      else {
        connection.pubrec(packet);
        connection.pubcomp(await connection.next('pubrel'));
      }
      connection.puback(await connection.next('publish'));
      await it.clock.settle();
      expect([next.state, it.loop.status]).toEqual(['resolved', 'connected']);
      expect(it.loop.stats()).toMatchObject({ inflight: 0, unknownAcknowledgements: 0 });
    },
  );

  test('a publish that was sent and given up is resent in a resumed session, and forgotten with a lost one', async () => {
    const it = scriptedLoop({ clean: false, reconnect: { minDelayMs: 10, jitter: 'none' } });
    const [options, giveUp] = prepare();
    let connection = await it.connect();
    const given = watch(it.loop.publish('a', 'given up', { qos: 1, ...options }));
    const { messageId } = await connection.next('publish');
    await giveUp(it);
    expect(given.state).toBe('rejected');
    connection = await again(it, connection, true);
    expect(await connection.next('publish')).toMatchObject({ messageId, dup: true });
    connection = await again(it, connection, false);
    await connection.nothing(it.clock);
    expect(it.loop.stats().inflight).toBe(0);
  });

  const requests: [
    string,
    'subscribe' | 'unsubscribe',
    (loop: EventLoop, options: OperationOptions) => Promise<unknown>,
  ][] = [
    ['subscribe to "a/#"', 'subscribe', (loop, options) => loop.subscribe('a/#', options)],
    ['unsubscribe from "a/#"', 'unsubscribe', (loop, options) => loop.unsubscribe('a/#', options)],
  ];

  test.each(requests)(
    'ends a request to %s that was not sent, and takes it back',
    async (operation, _packet, request) => {
      const it = scriptedLoop();
      const [options, giveUp] = prepare();
      const given = watch(request(it.loop, options));
      await giveUp(it);
      expect(given.error).toMatchObject({ ...failure, operation, delivery: 'not-sent' });
      const connection = await it.connect();
      await connection.nothing(it.clock);
    },
  );

  test.each(requests)(
    'ends a request to %s that was sent; its late answer is no surprise',
    async (_name, packet, request) => {
      const it = scriptedLoop();
      const connection = await it.connect();
      const [options, giveUp] = prepare();
      const given = watch(request(it.loop, options));
      const sent = await connection.next(packet);
      await giveUp(it);
      expect(given.error).toMatchObject({ ...failure, delivery: 'unknown' });
      if (sent.cmd === 'subscribe') connection.suback(sent);
      else if (sent.cmd === 'unsubscribe') connection.unsuback(sent);
      await it.clock.settle();
      expect(it.loop.stats().unknownAcknowledgements).toBe(0);
      expect(it.loop.status).toBe('connected');
      // Its owner was told that it failed: the loop does not make it again.
      const next = await again(it, connection, false);
      await next.nothing(it.clock);
    },
  );

  test('comes too late for what has settled', async () => {
    const it = scriptedLoop();
    const connection = await it.connect();
    const [options, giveUp] = prepare();
    const published = watch(it.loop.publish('a', 'x', { qos: 1, ...options }));
    connection.puback(await connection.next('publish'));
    await it.clock.settle();
    await giveUp(it);
    expect(published.state).toBe('resolved');
    // One timer is left, that of the keep alive.
    expect(it.clock.pendingTimers).toBe(1);
  });
});

test('a signal that is aborted already: nothing is taken, sent or counted as queued', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  const signal = AbortSignal.abort(reason);
  const failure = { code: 'MQTT_ABORTED', delivery: 'not-sent', cause: reason };
  await expect(loop.publish('a', 'x', { qos: 1, signal })).rejects.toMatchObject(failure);
  await expect(loop.enqueue('a', 'x', { signal })).rejects.toMatchObject(failure);
  await expect(loop.tryEnqueue('a', 'x', { signal })?.completed).rejects.toMatchObject(failure);
  await expect(loop.subscribe('a', { signal })).rejects.toMatchObject(failure);
  await expect(loop.unsubscribe('a', { signal })).rejects.toMatchObject(failure);
  await connection.nothing(clock);
});

test('one signal for many: listeners do not pile up on it', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...parameters: Parameters<typeof add>) => (listeners++, add(...parameters));
  signal.removeEventListener = (...parameters: Parameters<typeof remove>) => (listeners--, remove(...parameters));
  for (let i = 0; i < 20; i++) void loop.publish('a', `${i}`, { qos: 1, signal });
  expect(listeners).toBe(20);
  for (let i = 0; i < 20; i++) connection.puback(await connection.next('publish'));
  await clock.settle();
  expect(listeners).toBe(0);
});

test.each([
  ['timeoutMs', 0],
  ['timeoutMs', -1],
  ['timeoutMs', Number.NaN],
  ['timeoutMs', Infinity],
  ['timeoutMs', '500'],
  ['signal', {}],
])('%s %s is refused by every operation', async (field, value) => {
  const { loop } = scriptedLoop();
  const options = { [field]: value };
  const failure = { code: 'MQTT_INVALID_ARGUMENT', field };
  await expect(loop.publish('a', 'x', options)).rejects.toMatchObject(failure);
  await expect(loop.enqueue('a', 'x', options)).rejects.toMatchObject(failure);
  expect(() => loop.tryEnqueue('a', 'x', options)).toThrow(expect.objectContaining(failure));
  await expect(loop.subscribe('a', options)).rejects.toMatchObject(failure);
  await expect(loop.unsubscribe('a', options)).rejects.toMatchObject(failure);
  expect(loop.stats()).toMatchObject({ queued: 0, waiting: 0 });
});

async function again(
  { broker, clock }: ScriptedLoop,
  before: ScriptedConnection,
  sessionPresent: boolean,
): Promise<ScriptedConnection> {
  before.cut();
  await clock.advance(2_000);
  return broker.acceptConnected({ sessionPresent });
}

test('one signal serves any number of operations: no listener warning, and none is left behind', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const { signal } = new AbortController();
  const { loop, connect, clock } = scriptedLoop();
  const publishes = Array.from({ length: 50 }, () => loop.publish('a', 'x', { qos: 0, signal }));
  expect(getEventListeners(signal, 'abort')).toHaveLength(50);
  await connect();
  await Promise.all(publishes);
  await clock.settle();
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
