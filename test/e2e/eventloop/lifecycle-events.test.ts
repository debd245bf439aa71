import type { EventLoop, EventLoopEvents } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const EXACT = { jitter: 'none', minDelayMs: 1_000, factor: 1 } as const;
const EVENTS = ['connected', 'disconnected', 'reconnecting', 'paused', 'closed'] as const;

type LifecycleEvent = { [E in (typeof EVENTS)[number]]: [E, EventLoopEvents[E]] }[(typeof EVENTS)[number]];

/** All lifecycle events in order. */
function record(loop: EventLoop): LifecycleEvent[] {
  const events: LifecycleEvent[] = [];
  for (const name of EVENTS) loop.on(name, (payload) => events.push([name, payload] as LifecycleEvent));
  return events;
}

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('S8: connected, disconnected, reconnecting, connected, in this order, with cause, delay and attempt', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const events = record(loop);
    const first = await connect();
    expect(events).toMatchObject([
      ['connected', { attempt: 1, sessionPresent: false, negotiated: { protocolVersion } }],
    ]);

    first.cut();
    await clock.settle();
    expect(events.slice(1)).toMatchObject([
      ['disconnected', { cause: { code: 'MQTT_CONNECTION_LOST' }, reasonCode: undefined, willRetryInMs: 1_000 }],
    ]);
    expect(loop.status).toBe('reconnecting');
    expect(loop.negotiated).toBeUndefined();

    await clock.advance(1_000);
    expect(events.slice(2)).toEqual([['reconnecting', { attempt: 1, server: 'mqtt://localhost:1883' }]]);
    const second = await broker.acceptConnected();
    await clock.settle();
    expect(events.slice(3)).toMatchObject([['connected', { attempt: 1 }]]);
    expect(loop.status).toBe('connected');

    // Twenty messages between the second connection and its end.
    for (let i = 1; i <= 20; i++) {
      await clock.advance(100);
      second.publish({ topic: 'hello/world', payload: Buffer.from([i]) });
    }
    second.end();
    await clock.settle();
    expect(events.slice(4)).toMatchObject([['disconnected', { willRetryInMs: 1_000 }]]);
    expect(loop.stats()).toMatchObject({ messagesReceived: 20, connections: 2, reconnects: 1 });
  });

  test('S3: the broker closes: the loop connects again; after shutdown it does not', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      reconnect: { ...EXACT, policy: 'always' },
    });
    const first = await connect();
    first.end();
    await clock.advance(1_000);
    const second = await broker.acceptConnected();
    await clock.settle();
    const closed = watch(loop.shutdown());
    await second.next('disconnect');
    second.end();
    await clock.advance(600_000);
    expect(closed.state).toBe('resolved');
    expect(broker.connections).toHaveLength(2);
    expect(loop.status).toBe('closed');
  });

  test('S3: a reset in answer to our DISCONNECT does not bring the loop back either', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      reconnect: { ...EXACT, policy: 'always' },
    });
    const connection = await connect();
    const closed = watch(loop.shutdown());
    await connection.next('disconnect');
    connection.cut();
    await clock.advance(600_000);
    expect(closed.state).toBe('resolved');
    expect(broker.connections).toHaveLength(1);
  });

  test('every connected is followed by exactly one disconnected, also when the link goes in the same instant', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, reconnect: { ...EXACT, policy: 'always' } });
    const events = record(loop);
    void loop.start();
    for (let i = 0; i < 5; i++) {
      const connection = await broker.acceptConnected();
      if (i % 2 === 0) connection.end();
      else {
        await clock.settle();
        connection.cut();
      }
      await clock.advance(1_000);
    }
    const last = await broker.acceptConnected();
    await clock.settle();
    void loop.shutdown();
    await last.next('disconnect');
    last.end();
    await clock.settle();
    const names = events.map(([name]) => name).filter((name) => name === 'connected' || name === 'disconnected');
    expect(names.filter((name) => name === 'connected')).toHaveLength(6);
    names.forEach((name, i) => expect(name).toBe(i % 2 === 0 ? 'connected' : 'disconnected'));
    expect(events.at(-1)).toEqual(['closed', { cause: undefined }]);
  });

  test('failed attempts count up from the loss, and each tells its error', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const first = await connect();
    const events = record(loop);
    broker.down();
    first.cut();
    await clock.advance(2_000);
    broker.up();
    await clock.advance(1_000);
    await broker.acceptConnected({ sessionPresent: false });
    await clock.settle();
    expect(events).toMatchObject([
      ['disconnected', { cause: { code: 'MQTT_CONNECTION_LOST' } }],
      ['reconnecting', { attempt: 1 }],
      ['disconnected', { cause: { code: 'MQTT_CONNECT_FAILED' } }],
      ['reconnecting', { attempt: 2 }],
      ['disconnected', { cause: { code: 'MQTT_CONNECT_FAILED' } }],
      ['reconnecting', { attempt: 3 }],
      ['connected', { attempt: 3 }],
    ]);
  });

  test('pause and resume: disconnected without a retry, paused, connected; no reconnecting', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion });
    const events = record(loop);
    const first = await connect();
    void loop.pause();
    await first.next('disconnect');
    first.end();
    await clock.settle();
    void loop.resume();
    await broker.acceptConnected();
    await clock.settle();
    expect(events).toMatchObject([
      ['connected', { attempt: 1 }],
      ['disconnected', { cause: { code: 'MQTT_INVALID_STATE' }, willRetryInMs: undefined }],
      ['paused', undefined],
      ['connected', { attempt: 1 }],
    ]);
  });

  test('shutdown: disconnected, then closed without a cause, each once', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const events = record(loop);
    const connection = await connect();
    void loop.shutdown();
    void loop.shutdown();
    await connection.next('disconnect');
    connection.end();
    await clock.advance(60_000);
    await loop.shutdown();
    expect(events.map(([name]) => name)).toEqual(['connected', 'disconnected', 'closed']);
    expect(events[1]).toMatchObject(['disconnected', { willRetryInMs: undefined }]);
    expect(events[2]).toEqual(['closed', { cause: undefined }]);
  });

  test('the session that the broker has kept is told', async () => {
    const { connect, connected } = scriptedLoop({ protocolVersion, clean: false });
    await connect({ sessionPresent: true });
    expect(connected).toMatchObject([{ sessionPresent: true }]);
  });

  test('a listener that is removed hears nothing, a listener may remove itself', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const heard: string[] = [];
    const removeFirst = loop.on('connected', () => {
      heard.push('first');
      removeFirst();
    });
    loop.on('connected', () => heard.push('second'));
    const connection = await connect();
    connection.cut();
    await clock.advance(1_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(heard).toEqual(['first', 'second', 'second']);
  });

  test('a status is what the loop is doing', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const seen = [loop.status];
    void loop.start();
    seen.push(loop.status);
    const first = await broker.acceptConnected();
    await clock.settle();
    seen.push(loop.status);
    first.cut();
    await clock.settle();
    seen.push(loop.status);
    await clock.advance(1_000);
    seen.push(loop.status);
    const second = await broker.acceptConnected();
    await clock.settle();
    void loop.pause();
    await second.next('disconnect');
    second.end();
    await clock.settle();
    seen.push(loop.status);
    void loop.resume();
    await clock.settle();
    seen.push(loop.status);
    const third = await broker.acceptConnected();
    await clock.settle();
    void loop.shutdown();
    seen.push(loop.status);
    await third.next('disconnect');
    third.end();
    await clock.settle();
    seen.push(loop.status);
    expect(seen).toEqual([
      'idle',
      'connecting',
      'connected',
      'reconnecting',
      'reconnecting',
      'paused',
      'connecting',
      'closing',
      'closed',
    ]);
  });
});

test("a broker's DISCONNECT is told with its reason code and reason string", async () => {
  const { connect, clock, disconnected } = scriptedLoop({ reconnect: EXACT });
  const connection = await connect();
  connection.disconnect({ reasonCode: 0x98, properties: { reasonString: 'maintenance' } });
  await clock.settle();
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_SERVER_DISCONNECTED' }, reasonCode: 0x98 }]);
  expect(disconnected[0]!.cause.message).toContain('maintenance');
});

test('our own DISCONNECT is told with its reason code', async () => {
  const { loop, connect, clock, disconnected } = scriptedLoop({ reconnect: EXACT });
  const connection = await connect();
  // A topic that is longer than its packet.
  connection.send(Buffer.from([0x30, 3, 0, 9, 0x61]));
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x81 });
  await clock.settle();
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_PROTOCOL_ERROR', reasonCode: 0x81 }, reasonCode: 0x81 }]);
  expect(loop.stats().protocolErrors).toBe(1);
});
