import type { EventLoop, EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

const ONCE_LOST = { reconnect: { jitter: 'none', minDelayMs: 1, factor: 1 } } as const;

/** At QoS 0, all in one turn of the Node event loop. */
function publish(loop: EventLoop, ...texts: string[]): Watched<unknown>[] {
  return texts.map((text) => watch(loop.publish('plant/7/state', text)));
}

async function payloads(connection: ScriptedConnection, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) seen.push((await connection.next('publish')).payload.toString());
  return seen;
}

describe.each([4, 5] as const)('protocol version %i: QoS 0 that nothing has to wait for', (protocolVersion) => {
  const options: EventLoopOptions = { protocolVersion, ...ONCE_LOST };

  test('is written in the order of the calls, with QoS 0 of other kinds and QoS 1 between', async () => {
    const { loop, clock, connect } = scriptedLoop(options);
    const connection = await connect();
    await clock.settle();
    const results = [
      ...publish(loop, 'a', 'b'),
      watch(loop.publish('plant/7/state', 'c', { qos: 1 })),
      ...publish(loop, 'd'),
      watch(loop.publish('plant/7/state', 'e', { timeoutMs: 1_000 })),
      watch(loop.publish('plant/7/state', Buffer.from('f'), { retain: true })),
    ];
    const packets = [];
    while (packets.length < 6) packets.push(await connection.next('publish'));
    expect(
      packets.map(({ payload, qos, retain }) => `${payload.toString()} ${qos}${retain ? ' retained' : ''}`),
    ).toEqual(['a 0', 'b 0', 'c 1', 'd 0', 'e 0', 'f 0 retained']);
    connection.puback(packets[2]!);
    await clock.settle();
    expect(results.map(({ value }) => value)).toEqual([0, 0, 1, 0, 0, 0].map((qos) => ({ qos, reasonCode: 0 })));
    expect(loop.stats()).toMatchObject({ publishesSent: 6, publishesCompleted: 6, publishesFailed: 0, queued: 0 });
  });

  test('leaves after a subscribe and an acknowledgement of the same turn', async () => {
    const { loop, clock, connect } = scriptedLoop(options);
    loop.onMessage(() => queueMicrotask(() => publish(loop, 'answer')));
    const connection = await connect();
    await clock.settle();
    const subscribed = watch(loop.subscribe('plant/#', { qos: 1 }));
    publish(loop, 'a');
    const subscribe = await connection.next('subscribe');
    expect(await payloads(connection, 1)).toEqual(['a']);
    connection.suback(subscribe);
    connection.publish({ topic: 'plant/1', qos: 1, messageId: 1, payload: 'x' });
    await connection.next('puback');
    expect(await payloads(connection, 1)).toEqual(['answer']);
    await clock.settle();
    expect(subscribed.state).toBe('resolved');
  });

  test('waits for the next connection when the present one ends in the same turn', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    await connect();
    await clock.settle();
    const results = publish(loop, 'a', 'b', 'c');
    void loop.pause();
    results.push(...publish(loop, 'd'));
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(Array(4).fill('pending'));
    expect(loop.stats()).toMatchObject({ publishesSent: 0, queued: 4 });
    void loop.resume();
    const second = await broker.acceptConnected();
    expect(await payloads(second, 4)).toEqual(['a', 'b', 'c', 'd']);
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(Array(4).fill('resolved'));
    expect(loop.stats()).toMatchObject({ publishesSent: 4, publishesCompleted: 4, publishesFailed: 0, queued: 0 });
  });

  test('that has come back is told its own outcome', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...options, requestCapacity: 3, overflow: 'drop-oldest' });
    await connect();
    await clock.settle();
    const results = publish(loop, 'a', 'b', 'c', 'd');
    void loop.pause();
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(['rejected', 'pending', 'pending', 'pending']);
    expect(results[0]!.error).toMatchObject({ code: 'MQTT_MESSAGE_DROPPED' });
    results.push(...publish(loop, 'e'));
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(['rejected', 'rejected', 'pending', 'pending', 'pending']);
    void loop.resume();
    const second = await broker.acceptConnected();
    expect(await payloads(second, 3)).toEqual(['c', 'd', 'e']);
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(['rejected', 'rejected', 'resolved', 'resolved', 'resolved']);
    expect(loop.stats()).toMatchObject({ publishesSent: 3, publishesCompleted: 3, publishesFailed: 2 });
  });

  test('takes room of the queue until it leaves', async () => {
    const { loop, clock, connect } = scriptedLoop({ ...options, requestCapacity: 2, maxWaiters: 1 });
    const connection = await connect();
    await clock.settle();
    const results = publish(loop, 'a', 'b', 'c', 'd');
    expect(await payloads(connection, 3)).toEqual(['a', 'b', 'c']);
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved', 'rejected']);
    expect(results[3]!.error).toMatchObject({ code: 'MQTT_QUEUE_FULL' });
  });

  test('is drained by a shutdown in the same turn', async () => {
    const { loop, clock, connect } = scriptedLoop(options);
    const connection = await connect();
    await clock.settle();
    const results = publish(loop, 'a', 'b');
    const closed = watch(loop.shutdown());
    expect(await payloads(connection, 2)).toEqual(['a', 'b']);
    await connection.next('disconnect');
    connection.end();
    await clock.advance(1);
    expect(closed.value).toEqual({ drained: true });
    expect(results.map(({ state }) => state)).toEqual(['resolved', 'resolved']);
  });

  test('is closed for good with the loop when it has come back', async () => {
    const { loop, clock, connect } = scriptedLoop(options);
    await connect();
    await clock.settle();
    const [result] = publish(loop, 'a');
    void loop.pause();
    await clock.settle();
    void loop.shutdown({ drainTimeoutMs: 0 });
    await clock.advance(1_000);
    expect(result!.error).toMatchObject({ code: 'MQTT_CLOSED', delivery: 'not-sent' });
    expect(loop.stats()).toMatchObject({ publishesSent: 0, publishesFailed: 1, queued: 0 });
  });

  test('is refused with the same errors as any other', async () => {
    const { loop, clock, connect } = scriptedLoop({ ...options, requestCapacityBytes: 1_024 });
    await connect();
    await clock.settle();
    const results = [
      watch(loop.publish('a/+', 'x')),
      watch(loop.publish(7 as never, 'x')),
      watch(loop.publish('a', { no: 'bytes' } as never)),
      watch(loop.publish('a', 'x', { retain: 'yes' as never })),
      watch(loop.publish('a', 'x', null as never)),
      watch(loop.publish('a', 'x'.repeat(1_024))),
    ];
    await clock.settle();
    const codes = results.map(({ error }) => (error as { readonly code: string }).code);
    expect(codes).toEqual([...Array(5).fill('MQTT_INVALID_ARGUMENT'), 'MQTT_PACKET_TOO_LARGE']);
  });
});

test('MQTT 5: topic aliases are used, and forgotten with the connection', async () => {
  const { loop, broker, clock, connect } = scriptedLoop(ONCE_LOST);
  const connack = { properties: { topicAliasMaximum: 5 } };
  const first = await connect(connack);
  await clock.settle();
  publish(loop, 'a', 'b');
  expect(await first.next('publish')).toMatchObject({ topic: 'plant/7/state', properties: { topicAlias: 1 } });
  expect(await first.next('publish')).toMatchObject({ topic: '', properties: { topicAlias: 1 } });
  await clock.settle();
  publish(loop, 'c', 'd');
  void loop.pause();
  await clock.settle();
  void loop.resume();
  const second = await broker.acceptConnected(connack);
  expect(await second.next('publish')).toMatchObject({ topic: 'plant/7/state', properties: { topicAlias: 1 } });
  expect(await second.next('publish')).toMatchObject({ topic: '', properties: { topicAlias: 1 } });
});

test('a server that does not retain refuses a retained publish, and a small one a large publish', async () => {
  const { loop, clock, connect } = scriptedLoop();
  await connect({ properties: { retainAvailable: false, maximumPacketSize: 50 } });
  await clock.settle();
  const results = [
    watch(loop.publish('a', 'x', { retain: true })),
    watch(loop.publish('a', 'x'.repeat(44))),
    watch(loop.publish('a', 'x'.repeat(45))),
  ];
  await clock.settle();
  expect(results.map(({ error, state }) => (error as { code?: string } | undefined)?.code ?? state)).toEqual([
    'MQTT_NOT_SUPPORTED_BY_SERVER',
    'resolved',
    'MQTT_PACKET_TOO_LARGE',
  ]);
});
