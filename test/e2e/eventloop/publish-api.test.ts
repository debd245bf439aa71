import type { EventLoop } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('publish with QoS 0 resolves when the socket has taken it, not before', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    connection.freeze();
    // A reader that stopped still takes one piece.
    const first = watch(loop.publish('a', 'first'));
    await clock.settle();
    const second = watch(loop.publish('a', 'second'));
    await clock.settle();
    expect([first.state, second.state]).not.toContain('rejected');
    expect(second.state).toBe('pending');
    connection.thaw();
    await clock.settle();
    expect([first.value, second.value]).toEqual([
      { qos: 0, reasonCode: 0 },
      { qos: 0, reasonCode: 0 },
    ]);
    expect((await connection.next('publish')).payload.toString()).toBe('first');
    expect((await connection.next('publish')).payload.toString()).toBe('second');
  });

  test('publish with QoS 1 resolves at PUBACK', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const published = watch(loop.publish('a', 'x', { qos: 1 }));
    const packet = await connection.next('publish');
    await clock.advance(60_000);
    expect(published.state).toBe('pending');
    connection.puback(packet);
    await clock.settle();
    expect(published.value).toEqual({ qos: 1, reasonCode: 0 });
  });

  test('publish with QoS 2 resolves at PUBCOMP, not at PUBREC', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const published = watch(loop.publish('a', 'x', { qos: 2 }));
    connection.pubrec(await connection.next('publish'));
    const release = await connection.next('pubrel');
    expect(published.state).toBe('pending');
    connection.pubcomp(release);
    await clock.settle();
    expect(published.value).toEqual({ qos: 2, reasonCode: 0 });
  });

  test.each([0, 1, 2] as const)('enqueue with QoS %i resolves when the queue has taken it', async (qos) => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    // Not even started: the queue takes what comes.
    const delivery = await loop.enqueue('a', 'x', { qos });
    const completed = watch(delivery.completed);
    expect(loop.stats()).toMatchObject({ queued: 1, waiting: 0 });
    const connection = await connect();
    const packet = await connection.next('publish');
    if (qos === 1) connection.puback(packet);
    if (qos === 2) {
      connection.pubrec(packet);
      connection.pubcomp(await connection.next('pubrel'));
    }
    await clock.settle();
    expect(completed.value).toEqual({ qos, reasonCode: 0 });
  });

  test('enqueue waits for room, in the order of the calls, and is admitted when the session owns the one before', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, requestCapacity: 1, inflight: 1 });
    const enqueued = ['1', '2', '3', '4'].map((payload) => watch(loop.enqueue('a', payload, { qos: 1 })));
    await clock.settle();
    expect(enqueued.map(({ state }) => state)).toEqual(['resolved', 'pending', 'pending', 'pending']);
    const connection = await connect();
    for (let sent = 1; sent <= 4; sent++) {
      const packet = await connection.next('publish');
      expect(packet.payload.toString()).toBe(`${sent}`);
      await clock.settle();
      // One is in flight, one is queued, the others wait.
      expect(enqueued.filter(({ state }) => state === 'resolved')).toHaveLength(Math.min(4, sent + 1));
      connection.puback(packet);
    }
  });

  test('a refused publish rejects alone and gives its slot to the next one', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const connection = await connect();
    const refused = watch(loop.publish('a', '1', { qos: 1 }));
    const accepted = watch(loop.publish('a', '2', { qos: 1 }));
    const first = await connection.next('publish');
    if (protocolVersion === 4) connection.puback(first);
    else connection.puback(first, { reasonCode: 0x97, properties: { reasonString: 'full up' } });
    connection.puback(await connection.next('publish'));
    await clock.settle();
    // MQTT 3.1.1 has no reason codes.
    expect(refused.state).toBe(protocolVersion === 4 ? 'resolved' : 'rejected');
    expect(accepted.value).toEqual({ qos: 1, reasonCode: 0 });
    expect(loop.status).toBe('connected');
  });
});

test('tryEnqueue takes what fits and otherwise returns undefined at once', async () => {
  const { loop, clock, connect } = scriptedLoop({ requestCapacity: 2, inflight: 1 });
  const first = loop.tryEnqueue('a', '1', { qos: 1 });
  expect(first).toBeDefined();
  expect(loop.tryEnqueue('a', '2', { qos: 1 })).toBeDefined();
  expect(loop.tryEnqueue('a', '3', { qos: 1 })).toBeUndefined();
  expect(loop.stats()).toMatchObject({ queued: 2, waiting: 0 });
  const connection = await connect();
  connection.puback(await connection.next('publish'));
  expect(await first!.completed).toEqual({ qos: 1, reasonCode: 0 });
  await clock.settle();
  expect(loop.tryEnqueue('a', '4', { qos: 1 })).toBeDefined();
});

test('tryEnqueue goes by bytes too, and never overtakes those who wait', async () => {
  const { loop } = scriptedLoop({ requestCapacityBytes: 1_024 });
  await loop.enqueue('a', Buffer.alloc(600));
  expect(loop.tryEnqueue('a', Buffer.alloc(600))).toBeUndefined();
  const waiting = watch(loop.enqueue('a', Buffer.alloc(600)));
  expect(loop.tryEnqueue('a', 'small')).toBeUndefined();
  expect(waiting.state).toBe('pending');
});

test('a delivery whose failure nobody asks for is no unhandled rejection', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  await loop.enqueue('a', 'x', { qos: 1 });
  connection.puback(await connection.next('publish'), { reasonCode: 0x87 });
  await clock.settle();
  // Vitest fails the run for an unhandled rejection.
  expect(loop.stats()).toMatchObject({ publishesFailed: 1, queued: 0, inflight: 0 });
});

test('MQTT 5: the answer of the broker is passed on', async () => {
  const { loop, connect } = scriptedLoop();
  const connection = await connect();
  const published = loop.publish('a', 'x', { qos: 1 });
  connection.puback(await connection.next('publish'), {
    reasonCode: 0x10,
    properties: { reasonString: 'nobody listens', userProperties: { region: 'eu' } },
  });
  expect(await published).toEqual({
    qos: 1,
    reasonCode: 0x10,
    reasonString: 'nobody listens',
    userProperties: { region: 'eu' },
  });
});

describe.each([
  [1, 'puback', 0x87, 'not authorized'],
  [1, 'puback', 0x97, 'quota exceeded'],
  [2, 'pubrec', 0x80, 'unspecified error'],
  [2, 'pubrec', 0x99, 'payload format invalid'],
] as const)('MQTT 5: QoS %i refused by %s with 0x%s', (qos, answer, reasonCode, reason) => {
  test('rejects its own publish with topic and reason; the connection and the others go on', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ inflight: 2 });
    const connection = await connect();
    const refused = watch(loop.publish('plant/1', 'x', { qos }));
    const accepted = watch(loop.publish('plant/2', 'x', { qos: 1 }));
    const first = await connection.next('publish');
    const second = await connection.next('publish');
    connection[answer](first, { reasonCode });
    await clock.settle();
    expect(refused.error).toMatchObject({
      name: 'MqttRefusedError',
      code: 'MQTT_PUBLISH_REFUSED',
      target: 'plant/1',
      reasonCode,
      reason,
      message: `broker refused to publish "plant/1": ${reason} (0x${reasonCode.toString(16)})`,
    });
    expect(loop.stats().inflight).toBe(1);
    connection.puback(second);
    await clock.settle();
    expect(accepted.state).toBe('resolved');
    // Refused by PUBREC means no PUBREL.
    await connection.nothing(clock);
    expect(disconnected).toEqual([]);
  });
});

describe('closing', () => {
  const calls: [string, (loop: EventLoop) => unknown][] = [
    ['publish', (loop) => loop.publish('a', 'x', { qos: 1 })],
    ['enqueue', (loop) => loop.enqueue('a', 'x', { qos: 1 })],
    ['tryEnqueue', (loop) => loop.tryEnqueue('a', 'x', { qos: 1 })],
    ['subscribe', (loop) => loop.subscribe('a')],
    ['unsubscribe', (loop) => loop.unsubscribe('a')],
    ['start', (loop) => loop.start()],
    ['pause', (loop) => loop.pause()],
    ['resume', (loop) => loop.resume()],
    ['reconnect', (loop) => loop.reconnect()],
  ];

  test.each(calls)('%s is refused during a shutdown and after it', async (_name, call) => {
    const { loop, clock, connect } = scriptedLoop();
    const connection = await connect();
    const open = watch(loop.publish('a', 'open', { qos: 1 }));
    const packet = await connection.next('publish');
    const closing = watch(loop.shutdown());
    await clock.settle();
    expect(closing.state).toBe('pending');
    // Synchronous or not, the answer is the same.
    const attempt = async (): Promise<unknown> => call(loop);
    await expect(attempt()).rejects.toMatchObject({ code: 'MQTT_CLOSED', delivery: 'not-sent' });
    connection.puback(packet);
    await connection.next('disconnect');
    await clock.settle();
    expect([open.state, closing.value]).toEqual(['resolved', { drained: true }]);
    await expect(attempt()).rejects.toMatchObject({ code: 'MQTT_CLOSED', delivery: 'not-sent' });
  });

  test('every open request settles, and says whether it may have arrived', async () => {
    const { loop, clock, connect } = scriptedLoop({ inflight: 1, requestCapacity: 1 });
    const connection = await connect();
    const open: Watched<unknown>[] = [
      watch(loop.publish('a', 'sent', { qos: 1 })),
      watch(loop.publish('a', 'queued', { qos: 1 })),
      watch(loop.publish('a', 'waiting', { qos: 1 })),
      watch(loop.enqueue('a', 'waiting', { qos: 1 })),
      watch(loop.subscribe('a/#')),
    ];
    await connection.next('subscribe');
    open.push(watch(loop.unsubscribe('b/#')));
    await clock.settle();
    const closing = loop.shutdown({ drainTimeoutMs: 0 });
    await clock.advance(2_000);
    expect(await closing).toEqual({ drained: false });
    expect(open.map(({ error }) => error)).toMatchObject(
      ['unknown', 'not-sent', 'not-sent', 'not-sent', 'unknown', 'unknown'].map((delivery) => ({
        code: 'MQTT_CLOSED',
        delivery,
      })),
    );
    expect(loop.stats()).toMatchObject({ queued: 0, waiting: 0, inflight: 0 });
  });
});
