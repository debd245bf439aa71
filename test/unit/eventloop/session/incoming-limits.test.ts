import type { MessageDroppedEvent } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

test.each([1, 2] as const)(
  '[MQTT-3.3.4-9] MQTT 5: a server over our Receive Maximum with QoS %i gets DISCONNECT 0x93 if it keeps the session',
  async (qos) => {
    const { loop, connect, disconnected } = scriptedLoop({ clean: false, receiveMaximum: 3 });
    loop.onMessage(() => new Promise(() => {}));
    const connection = await connect();
    for (let id = 1; id <= 4; id++) connection.publish({ topic: 'in', qos, messageId: id });
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x93 });
    await connection.closed();
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_PROTOCOL_ERROR', reasonCode: 0x93 } }]);
    expect(loop.stats()).toMatchObject({ protocolErrors: 1, unsettled: 3 });
  },
);

test.each([1, 2] as const)(
  'MQTT 5: a server over our Receive Maximum with QoS %i is held back where its session, and what it has for us, would be lost',
  async (qos) => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ receiveMaximum: 3 });
    const waiting: (() => void)[] = [];
    loop.onMessage(() => new Promise<void>((resolve) => waiting.push(resolve)));
    const connection = await connect();
    for (let id = 1; id <= 50; id++) connection.publish({ topic: 'in', qos, messageId: id });
    await clock.settle();
    expect(waiting).toHaveLength(3);
    expect(loop.stats()).toMatchObject({ protocolErrors: 1, unsettled: 3, readingPaused: true });
    for (let id = 1; id <= 50; id++) {
      waiting.shift()!();
      expect(await connection.next(qos === 1 ? 'puback' : 'pubrec')).toMatchObject({ messageId: id });
    }
    expect(disconnected).toEqual([]);
    expect(loop.stats()).toMatchObject({ protocolErrors: 1, unsettled: 0, readingPaused: false });
  },
);

test('MQTT 5: exactly our Receive Maximum is fine, and what is acknowledged makes room; QoS 2 does so at PUBCOMP', async () => {
  const { loop, clock, connect } = scriptedLoop({ clean: false, receiveMaximum: 2 });
  loop.onMessage(() => undefined);
  const connection = await connect();
  for (let id = 1; id <= 10; id++) {
    connection.publish({ topic: 'in', qos: 1, messageId: id });
    await connection.next('puback');
  }
  connection.publish({ topic: 'in', qos: 2, messageId: 11 });
  connection.publish({ topic: 'in', qos: 2, messageId: 12 });
  await connection.next('pubrec');
  await connection.next('pubrec');
  connection.pubrel(11);
  await connection.next('pubcomp');
  connection.publish({ topic: 'in', qos: 1, messageId: 13 });
  await connection.next('puback');
  await connection.nothing(clock);
  // Both slots are taken: 12 waits for its PUBREL, and 14 takes the other one.
  connection.publish({ topic: 'in', qos: 2, messageId: 14 });
  await connection.next('pubrec');
  connection.publish({ topic: 'in', qos: 1, messageId: 15 });
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x93 });
});

test.each([1, 2] as const)('MQTT 5: the quota for QoS %i starts afresh on the next connection', async (qos) => {
  const { loop, broker, clock, connect } = scriptedLoop({
    clean: false,
    receiveMaximum: 2,
    reconnect: { minDelayMs: 1_000, jitter: 'none' },
  });
  let finish = (): void => undefined;
  const all = new Promise<void>((resolve) => (finish = resolve));
  loop.onMessage(() => all);
  const first = await connect();
  for (const id of [1, 2]) first.publish({ topic: 'in', qos, messageId: id });
  await clock.settle();
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true });
  for (const id of [1, 2]) second.publish({ topic: 'in', qos, messageId: id, dup: true });
  await second.nothing(clock);
  finish();
  for (const id of [1, 2]) expect(await second.next(qos === 1 ? 'puback' : 'pubrec')).toMatchObject({ messageId: id });
  if (qos === 1) return;
  // Both slots are taken until PUBCOMP.
  second.publish({ topic: 'in', qos: 1, messageId: 3 });
  expect(await second.next('disconnect')).toMatchObject({ reasonCode: 0x93 });
});

test('MQTT 3.1.1: the reading stops at receiveMaximum and the messages wait in the socket', async () => {
  const { loop, clock, connect } = scriptedLoop({ protocolVersion: 4, receiveMaximum: 2 });
  const waiting: (() => void)[] = [];
  loop.onMessage(() => new Promise<void>((resolve) => waiting.push(resolve)));
  const connection = await connect();
  for (let id = 1; id <= 5; id++) connection.publish({ topic: 'in', qos: 1, messageId: id });
  await clock.settle();
  expect(waiting).toHaveLength(2);
  expect(loop.stats()).toMatchObject({ readingPaused: true, connected: true });
  for (let id = 1; id <= 5; id++) {
    waiting[id - 1]!();
    expect(await connection.next('puback')).toMatchObject({ messageId: id });
    await clock.settle();
  }
  expect(loop.stats().readingPaused).toBe(false);
});

test('drop-newest sheds QoS 0 over the count and over the bytes, tells it, and never stops reading', async () => {
  const { loop, clock, connect } = scriptedLoop({
    incomingOverflow: 'drop-newest',
    incomingCapacity: 2,
    incomingCapacityBytes: 1_024,
  });
  const dropped: MessageDroppedEvent[] = [];
  const waiting: (() => void)[] = [];
  loop.on('message-dropped', (event) => dropped.push(event));
  loop.onMessage(() => new Promise<void>((resolve) => waiting.push(resolve)));
  const connection = await connect();
  for (const topic of ['1', '2', '3']) connection.publish({ topic, payload: 'x' });
  await clock.settle();
  expect(dropped).toEqual([{ direction: 'incoming', topic: '3', qos: 0, reason: 'incoming-overflow' }]);
  for (const finish of waiting.splice(0)) finish();
  await clock.settle();
  connection.publish({ topic: 'large', payload: 'x'.repeat(1_024) });
  connection.publish({ topic: '4', payload: 'x' });
  await clock.settle();
  expect(dropped.map(({ topic }) => topic)).toEqual(['3', '4']);
  expect(loop.stats()).toMatchObject({ messagesDropped: 2, readingPaused: false, unsettled: 1, unsettledBytes: 1_024 });
});

test('[MQTT-3.3.2-10] MQTT 5: topic aliases stand for their topics on their connection, and may be set anew', async () => {
  const { loop, clock, connect } = scriptedLoop({ topicAliasMaximum: 2 });
  const topics: string[] = [];
  loop.onMessage(({ topic, properties }) => {
    topics.push(topic);
    expect(properties).not.toHaveProperty('topicAlias');
  });
  const connection = await connect();
  expect(connection.connectPacket?.properties).toMatchObject({ topicAliasMaximum: 2 });
  for (const [topic, topicAlias] of [
    ['a', 1],
    ['', 1],
    ['b', 2],
    ['', 1],
    ['c', 1],
    ['', 1],
    ['', 2],
  ] as const) {
    connection.publish({ topic, properties: { topicAlias } });
  }
  await clock.settle();
  expect(topics).toEqual(['a', 'a', 'b', 'a', 'c', 'c', 'b']);
});

test.each([
  ['0', 0, 'a', 0x94],
  ['over the maximum', 3, 'a', 0x94],
  ['never set', 2, '', 0x82],
])('MQTT 5: a topic alias that is %s closes the connection', async (_what, topicAlias, topic, reasonCode) => {
  const { loop, connect } = scriptedLoop({ topicAliasMaximum: 2 });
  const connection = await connect();
  const id = Buffer.from([0x30, 6 + topic.length, 0, topic.length, ...Buffer.from(topic), 3, 0x23, 0, topicAlias]);
  connection.send(id);
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode });
  expect(loop.stats().protocolErrors).toBe(1);
});

test('MQTT 5: aliases die with the connection [MQTT-3.3.2-7]', async () => {
  const { broker, clock, connect } = scriptedLoop({
    topicAliasMaximum: 2,
    clean: false,
    reconnect: { minDelayMs: 1_000, jitter: 'none' },
  });
  const first = await connect();
  first.publish({ topic: 'a', properties: { topicAlias: 1 } });
  await clock.settle();
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true });
  second.publish({ topic: '', properties: { topicAlias: 1 } });
  expect(await second.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
});

test('MQTT 5: a server within our Receive Maximum is read on while an answer is due, however many bytes wait, and never disconnected', async () => {
  const { loop, broker, clock, connect, disconnected } = scriptedLoop({
    receiveMaximum: 8,
    incomingCapacityBytes: 1_024,
  });
  const handled: (() => void)[] = [];
  loop.onMessage(() => new Promise<void>((resolve) => handled.push(resolve)));
  const connection = await connect();
  const subscribed = loop.subscribe('in');
  const subscribe = await connection.next('subscribe');
  for (let id = 1; id <= 8; id++)
    connection.publish({ topic: 'in', qos: 1, messageId: id, payload: Buffer.alloc(300) });
  connection.suback(subscribe);
  await subscribed;
  await clock.settle();
  expect(loop.stats()).toMatchObject({ unsettled: 8, readingPaused: true });

  for (const settle of handled) settle();
  for (let id = 1; id <= 8; id++) expect(await connection.next('puback')).toMatchObject({ messageId: id });
  expect(loop.stats().readingPaused).toBe(false);
  expect(disconnected).toEqual([]);
  expect(broker.connections).toHaveLength(1);
});

test.each([4, 5] as const)(
  'MQTT %i: too many unacknowledged bytes stop the reading, not the connection',
  async (protocolVersion) => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, incomingCapacityBytes: 1_024 });
    const handled: (() => void)[] = [];
    loop.onMessage(() => new Promise<void>((resolve) => handled.push(resolve)));
    const connection = await connect();
    for (let id = 1; id <= 9; id++)
      connection.publish({ topic: 'in', qos: 1, messageId: id, payload: Buffer.alloc(300) });
    await clock.settle();
    expect(loop.stats()).toMatchObject({ unsettled: 4, readingPaused: true });

    for (let id = 1; id <= 9; id++) {
      handled[id - 1]!();
      expect(await connection.next('puback')).toMatchObject({ messageId: id });
    }
    expect(disconnected).toEqual([]);
  },
);

test.each([4, 5] as const)(
  'MQTT %i: handlers of an earlier connection count: no more than receiveMaximum are ever at work',
  async (protocolVersion) => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      clean: false,
      receiveMaximum: 2,
      reconnect: { factor: 1, jitter: 'none' },
    });
    const handled: (() => void)[] = [];
    loop.onMessage(() => new Promise<void>((resolve) => handled.push(resolve)));
    let connection = await connect();
    for (let lost = 0; lost < 4; lost++) {
      for (let id = 1; id <= 2; id++) connection.publish({ topic: 'in', qos: 1, messageId: id, dup: lost > 0 });
      await clock.settle();
      expect(loop.stats().unsettled).toBe(2);
      connection.cut();
      await clock.advance(1_000);
      connection = await broker.acceptConnected({ sessionPresent: true });
    }
    for (let id = 1; id <= 2; id++) connection.publish({ topic: 'in', qos: 1, messageId: id, dup: true });
    await clock.settle();
    expect(handled).toHaveLength(2);
    for (let id = 1; id <= 4; id++) {
      handled[id - 1]!();
      await clock.settle();
    }
    expect(await connection.next('puback')).toMatchObject({ messageId: 1 });
    expect(await connection.next('puback')).toMatchObject({ messageId: 2 });
  },
);

test('MQTT 3.1.1: what waits behind a held message does not hold it up', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({
    protocolVersion: 4,
    clean: false,
    receiveMaximum: 2,
    reconnect: { factor: 1, jitter: 'none' },
  });
  const finish: Record<string, () => void> = {};
  const begun: string[] = [];
  loop.onMessage(({ payload }) => {
    begun.push(payload.toString());
    return new Promise<void>((resolve) => (finish[payload.toString()] = resolve));
  });
  const send = (to: ScriptedConnection, dup: boolean): void => {
    for (const [id, qos] of [1, 2, 2].entries()) {
      to.publish({ topic: 'in', payload: `${id + 1}`, qos: qos as 1 | 2, messageId: id + 1, dup });
    }
  };
  const first = await connect();
  // Reading cannot stop while this waits for its answer.
  const published = loop.publish('out', '', { qos: 1 });
  await first.next('publish');
  send(first, false);
  await clock.settle();
  expect(begun).toEqual(['1', '2']);
  finish['2']!();
  await clock.settle();
  expect(begun).toEqual(['1', '2', '3']);
  first.cut();
  await clock.advance(1_000);

  const second = await broker.acceptConnected({ sessionPresent: true });
  const resent = await second.next('publish');
  send(second, true);
  await clock.settle();
  finish['3']!();
  finish['1']!();
  await clock.settle();
  expect(begun).toEqual(['1', '2', '3', '1']);
  finish['1']!();
  expect(await second.next('puback')).toMatchObject({ messageId: 1 });
  for (const id of [2, 3]) expect(await second.next('pubrec')).toMatchObject({ messageId: id });
  second.puback(resent);
  await published;
});
