import { MqttClosedError, type EventLoop } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test.each([4, 5] as const)(
  'F10: ten QoS 2 publishes are completed before a graceful close of version %i: PUBREL 1 to 10, DISCONNECT, nothing after',
  async (protocolVersion) => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const published = Array.from({ length: 10 }, (_, i) => loop.publish('a', `${i}`, { qos: 2 }));
    for (let id = 1; id <= 10; id++) expect(await connection.next('publish')).toMatchObject({ messageId: id });
    const closing = loop.shutdown();
    for (let id = 1; id <= 10; id++) connection.pubrec(id);
    for (let id = 1; id <= 10; id++) expect(await connection.next('pubrel')).toMatchObject({ messageId: id });
    await connection.nothing(clock);
    for (let id = 1; id <= 10; id++) connection.pubcomp(id);
    await connection.next('disconnect');
    await clock.advance(100);
    await connection.nothing(clock);
    await connection.closed();
    await expect(closing).resolves.toEqual({ drained: true });
    await expect(Promise.all(published)).resolves.toHaveLength(10);
  },
);

test('F11: a close in order sends A, then B although the window is 1, then DISCONNECT', async () => {
  const { loop, clock, connect } = scriptedLoop({ inflight: 1 });
  const connection = await connect();
  const published = [loop.publish('t', 'A', { qos: 1 }), loop.publish('t', 'B', { qos: 1 })];
  const closing = loop.shutdown();
  const a = await connection.next('publish');
  expect(a.payload.toString()).toBe('A');
  await connection.nothing(clock);
  connection.puback(a);
  const b = await connection.next('publish');
  expect(b.payload.toString()).toBe('B');
  await connection.nothing(clock);
  connection.puback(b);
  await connection.next('disconnect');
  await connection.closed();
  await expect(closing).resolves.toEqual({ drained: true });
  await Promise.all(published);
});

test('F11: a close at once sends DISCONNECT ahead of B, which was not sent, while A may have arrived', async () => {
  const { loop, connect } = scriptedLoop({ inflight: 1 });
  const connection = await connect();
  const a = deliveryOf(loop.publish('t', 'A', { qos: 1 }));
  const b = deliveryOf(loop.publish('t', 'B', { qos: 1 }));
  await connection.next('publish');
  const closing = loop.shutdown({ drainTimeoutMs: 0 });
  await connection.next('disconnect');
  await expect(closing).resolves.toEqual({ drained: false });
  expect([await a, await b]).toEqual(['unknown', 'not-sent']);
});

test('F12: at the deadline of 50 ms a silent peer gets DISCONNECT, so that the will is cancelled, and the owner is told', async () => {
  const { loop, clock, connect } = scriptedLoop({ will: { topic: 'gone', payload: 'x' } });
  const connection = await connect();
  const delivery = deliveryOf(loop.publish('a', 'x', { qos: 2 }));
  await connection.next('publish');
  const closing = loop.shutdown({ drainTimeoutMs: 50 });
  await clock.advance(49);
  await connection.nothing(clock);
  await clock.advance(1);
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0 });
  await expect(closing).resolves.toEqual({ drained: false });
  await connection.nothing(clock);
  await expect(delivery).resolves.toBe('unknown');
});

test('F12: a peer that does not even read is left after the linger, and everything settles', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  connection.freeze();
  const deliveries = [1, 2, 3].map(() => deliveryOf(loop.publish('a', 'x'.repeat(50_000), { qos: 0 })));
  await clock.settle();
  const closing = loop.shutdown({ drainTimeoutMs: 50 });
  await clock.advance(50 + 1_000);
  await expect(closing).resolves.toEqual({ drained: false });
  for (const delivery of await Promise.all(deliveries)) expect(['unknown', 'not-sent']).toContain(delivery);
  expect(loop.stats()).toMatchObject({ queued: 0, inflight: 0, connected: false });
});

test('F13: an immediate close wakes an idle loop and waits for nothing', async () => {
  const { loop, clock, connect } = scriptedLoop({ keepAliveSeconds: 60 });
  const connection = await connect();
  const closing = loop.shutdown({ drainTimeoutMs: 0 });
  await connection.next('disconnect');
  await connection.closed();
  await expect(closing).resolves.toEqual({ drained: false });
  expect(clock.now()).toBe(0);
  expect(loop.status).toBe('closed');
});

test('F13: an immediate close does not wait for what is in flight', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  const delivery = deliveryOf(loop.publish('a', 'x', { qos: 1 }));
  await connection.next('publish');
  const closing = loop.shutdown({ drainTimeoutMs: 0 });
  await connection.next('disconnect');
  await expect(closing).resolves.toEqual({ drained: false });
  await expect(delivery).resolves.toBe('unknown');
  expect(clock.now()).toBe(0);
});

test('an idle loop that is closed with time to drain needs none of it', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  const closing = loop.shutdown();
  await connection.next('disconnect');
  await expect(closing).resolves.toEqual({ drained: true });
  expect(clock.now()).toBe(0);
});

test('a close refuses new requests, lets handlers finish and acknowledges what they took', async () => {
  const { loop, clock, connect } = scriptedLoop();
  let finish = (): void => undefined;
  loop.onMessage(() => new Promise<void>((resolve) => (finish = resolve)));
  const connection = await connect();
  connection.publish({ topic: 'in', qos: 1, messageId: 1 });
  await clock.settle();
  const closing = loop.shutdown();
  for (const request of requests(loop)) await expect(request()).rejects.toBeInstanceOf(MqttClosedError);
  connection.publish({ topic: 'in', qos: 1, messageId: 2 });
  await connection.nothing(clock);
  finish();
  expect(await connection.next('puback')).toMatchObject({ messageId: 1 });
  await connection.next('disconnect');
  await expect(closing).resolves.toEqual({ drained: true });
});

test('a close gives the same result however often it is asked for, and leaves the loop closed', async () => {
  const { loop, connect } = scriptedLoop();
  const connection = await connect();
  const closings = [loop.shutdown(), loop.shutdown({ drainTimeoutMs: 0 })];
  await connection.next('disconnect');
  await expect(Promise.all(closings)).resolves.toEqual([{ drained: true }, { drained: true }]);
  await expect(loop.shutdown()).resolves.toEqual({ drained: true });
  await connection.closed();
  expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect', 'disconnect']);
  await expect(loop.start()).rejects.toBeInstanceOf(MqttClosedError);
  for (const request of requests(loop)) await expect(request()).rejects.toBeInstanceOf(MqttClosedError);
});

test('closed while the broker is away: what cannot be sent keeps nobody waiting longer than the deadline', async () => {
  const { loop, broker, clock, connect } = scriptedLoop();
  const connection = await connect();
  connection.cut();
  broker.down();
  await clock.settle();
  const delivery = deliveryOf(loop.publish('a', 'x', { qos: 1 }));
  const closing = loop.shutdown({ drainTimeoutMs: 2_000 });
  await clock.advance(2_000);
  await expect(closing).resolves.toEqual({ drained: false });
  await expect(delivery).resolves.toBe('not-sent');
});

test('closed while the broker is away but back within the deadline, the queue is drained first', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ reconnect: { minDelayMs: 500, jitter: 'none' } });
  const lost = await connect();
  lost.cut();
  await clock.settle();
  const published = loop.publish('a', 'x', { qos: 1 });
  const closing = loop.shutdown({ drainTimeoutMs: 5_000 });
  await clock.advance(500);
  const connection = await broker.acceptConnected();
  connection.puback(await connection.next('publish'));
  await connection.next('disconnect');
  await expect(closing).resolves.toEqual({ drained: true });
  await published;
});

test('MQTT 5: a close that asks for the will says so with reason 0x04', async () => {
  const { loop, connect } = scriptedLoop({ protocolVersion: 5, will: { topic: 'gone', payload: 'x' } });
  const connection = await connect();
  const closing = loop.shutdown({ publishWill: true });
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 4 });
  await closing;
});

test('MQTT 3.1.1: a close that asks for the will ends the connection without DISCONNECT', async () => {
  const { loop, connect } = scriptedLoop({ protocolVersion: 4, will: { topic: 'gone', payload: 'x' } });
  const connection = await connect();
  const closing = loop.shutdown({ publishWill: true });
  await connection.closed();
  await closing;
  expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect']);
});

test('a pause sends DISCONNECT, keeps the queue and sends it after the resume', async () => {
  const { loop, broker, connect } = scriptedLoop();
  const connection: ScriptedConnection = await connect();
  const paused = loop.pause();
  await connection.next('disconnect');
  await paused;
  const published = loop.publish('a', 'kept', { qos: 1 });
  expect(loop.stats()).toMatchObject({ queued: 1, connected: false });
  const resumed = loop.resume();
  const second = await broker.acceptConnected();
  await resumed;
  second.puback(await second.next('publish'));
  await published;
});

function requests(loop: EventLoop): (() => Promise<unknown>)[] {
  return [
    () => loop.publish('a', 'late'),
    () => loop.enqueue('a', 'late'),
    async () => loop.tryEnqueue('a', 'late'),
    () => loop.subscribe('a'),
    () => loop.unsubscribe('a'),
    () => loop.reconnect({ inflight: 3 }),
    () => loop.pause(),
    () => loop.resume(),
  ];
}

/** What became of a request that the close has failed. */
async function deliveryOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => new Error('it completed'),
    (reason: unknown) => reason,
  );
  return 'delivery' in (error as object) ? (error as MqttClosedError).delivery : String(error);
}
