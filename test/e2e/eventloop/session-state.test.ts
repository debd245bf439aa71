import { MqttProtocolError, type EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';

const RETRY_MS = 1_000;
const SESSION = { clean: false, reconnect: { minDelayMs: RETRY_MS, jitter: 'none' } } satisfies EventLoopOptions;
const CLEAN = { clean: true, reconnect: SESSION.reconnect } satisfies EventLoopOptions;
const versions = [4, 5] as const;

test.each(versions)(
  '[MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-3.1.2-23] F9: a resumed session of version %i replays what was not acknowledged first, with DUP, id and order, then what was not sent',
  async (protocolVersion) => {
    const it = scriptedLoop({ ...SESSION, protocolVersion, inflight: 4 });
    const first = await it.connect();
    const published = publishAll(it.loop, 8);
    for (let id = 1; id <= 4; id++) await first.next('publish');
    first.puback(2);
    expect(await first.next('publish')).toMatchObject({ messageId: 5 });

    const second = await connectAgain(it, first, true);
    for (const id of [1, 3, 4, 5]) {
      const publish = await second.next('publish');
      expect(publish).toMatchObject({ messageId: id, dup: true, payload: Buffer.from(`${id}`) });
    }
    await second.nothing(it.clock);
    second.puback(1);
    expect(await second.next('publish')).toMatchObject({ messageId: 6, dup: false });
    for (const id of [3, 4, 5, 6]) second.puback(id);
    for (const id of [7, 8]) {
      expect(await second.next('publish')).toMatchObject({ messageId: id, dup: false });
      second.puback(id);
    }
    await Promise.all(published);
    expect(it.loop.stats()).toMatchObject({ publishesResent: 4, publishesCompleted: 8, inflight: 0 });
  },
);

test.each(versions)(
  '[MQTT-3.1.2-4] [MQTT-3.2.2-5] F14: without a session (version %i) nothing is replayed: the unacknowledged publish is sent as a new one, DUP 0',
  async (protocolVersion) => {
    const it = scriptedLoop({ ...CLEAN, protocolVersion, inflight: 1 });
    const first = await it.connect();
    const published = publishAll(it.loop, 3);
    expect(await first.next('publish')).toMatchObject({ payload: Buffer.from('1') });

    const second = await connectAgain(it, first, false);
    for (let i = 1; i <= 3; i++) {
      const publish = await second.next('publish');
      expect(publish).toMatchObject({ payload: Buffer.from(`${i}`), dup: false });
      await second.nothing(it.clock);
      second.puback(publish);
    }
    await Promise.all(published);
  },
);

test('[MQTT-4.3.3-2] F14: lost three times over, a publish is completed once', async () => {
  const it = scriptedLoop(CLEAN);
  let connection = await it.connect();
  const [published] = publishAll(it.loop, 1, 2);
  for (let round = 1; round <= 3; round++) {
    expect(await connection.next('publish')).toMatchObject({ dup: false });
    connection = await connectAgain(it, connection, false);
  }
  connection.pubrec(await connection.next('publish'));
  connection.pubcomp(await connection.next('pubrel'));
  await expect(published).resolves.toEqual({ qos: 2, reasonCode: 0 });
  expect(it.loop.stats()).toMatchObject({ publishesCompleted: 1, publishesSent: 4, publishesResent: 3 });
});

test('F15: a CONNACK that refuses and claims a session is a protocol error', async () => {
  const { loop, broker } = scriptedLoop(SESSION);
  const started = loop.start().catch((error: unknown) => error);
  const connection = await broker.accept();
  await connection.connect();
  connection.send(Buffer.from([0x20, 3, 1, 0x87, 0]));
  expect(await started).toBeInstanceOf(MqttProtocolError);
  await connection.closed();
  expect(loop.stats()).toMatchObject({ protocolErrors: 1, connections: 0, connectFailures: 1 });
});

test('[MQTT-3.2.2-4] F15: a session from before this process is accepted, and its messages are delivered', async () => {
  const { loop, connect, connected } = scriptedLoop(SESSION);
  const delivered: string[] = [];
  loop.onMessage(({ payload }) => void delivered.push(payload.toString()));
  const connection = await connect({ sessionPresent: true });
  connection.publish({ topic: 'old', payload: 'from before', qos: 2, messageId: 77, dup: true });
  expect(await connection.next('pubrec')).toMatchObject({ messageId: 77 });
  expect(connected).toMatchObject([{ sessionPresent: true }]);
  expect(delivered).toEqual(['from before']);
});

test.each(versions)(
  '[MQTT-3.2.2-2] F15: a session where a clean start was asked for is a protocol error (version %i)',
  async (version) => {
    const { loop, broker } = scriptedLoop({ protocolVersion: version, clean: true });
    const started = loop.start().catch((error: unknown) => error);
    const connection = await broker.acceptConnected({ sessionPresent: true });
    expect(await started).toBeInstanceOf(MqttProtocolError);
    if (version === 5) expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
    await connection.closed();
    expect(loop.stats()).toMatchObject({ protocolErrors: 1, connections: 0 });
  },
);

test("F15: the server's keep alive holds for its connection, 0 turns pings off, and the option comes back", async () => {
  const it = scriptedLoop({ ...SESSION, keepAliveSeconds: 10 });
  const first = await it.connect({ properties: { serverKeepAlive: 3 } });
  expect(it.loop.negotiated?.keepAliveSeconds).toBe(3);
  await it.clock.advance(2_999);
  await first.nothing(it.clock);
  await it.clock.advance(1);
  await first.next('pingreq');
  first.pingresp();

  const second = await connectAgain(it, first, true, { serverKeepAlive: 0 });
  await it.clock.advance(3_600_000);
  await second.nothing(it.clock);

  const third = await connectAgain(it, second, true);
  expect(third.connectPacket).toMatchObject({ keepalive: 10 });
  await it.clock.advance(9_999);
  await third.nothing(it.clock);
  await it.clock.advance(1);
  await third.next('pingreq');
  third.pingresp();
});

test.each(versions)(
  '[MQTT-4.3.3-6] [MQTT-4.6.0-4] F15: past PUBREC it is PUBREL that is replayed, under its id (version %i)',
  async (protocolVersion) => {
    const it = scriptedLoop({ ...SESSION, protocolVersion });
    const first = await it.connect();
    const published = publishAll(it.loop, 3, 2);
    for (let id = 1; id <= 3; id++) await first.next('publish');
    first.pubrec(2);
    first.pubrec(1);
    await first.next('pubrel');
    await first.next('pubrel');

    const second = await connectAgain(it, first, true);
    // In the order of the PUBRECs [MQTT-4.6.0-4].
    expect(await second.next('pubrel')).toMatchObject({ messageId: 2 });
    expect(await second.next('pubrel')).toMatchObject({ messageId: 1 });
    expect(await second.next('publish')).toMatchObject({ messageId: 3, dup: true });
    await second.nothing(it.clock);
    second.pubcomp(2);
    second.pubcomp(1);
    second.pubrec(3);
    second.pubcomp(await second.next('pubrel'));
    await Promise.all(published);
  },
);

test('a PUBREL that is lost with its connection before it left is sent on the next one', async () => {
  const it = scriptedLoop(SESSION);
  const first = await it.connect();
  const [published] = publishAll(it.loop, 1, 2);
  await first.next('publish');
  first.freeze();
  first.pubrec(1);
  await it.clock.settle();
  const second = await connectAgain(it, first, true);
  second.pubcomp(await second.next('pubrel'));
  await expect(published).resolves.toEqual({ qos: 2, reasonCode: 0 });
});

test('a session that is lost past PUBREC completes the exchange: the broker has the message', async () => {
  const it = scriptedLoop(SESSION);
  const first = await it.connect();
  const [published] = publishAll(it.loop, 1, 2);
  first.pubrec(await first.next('publish'));
  await first.next('pubrel');
  const second = await connectAgain(it, first, false);
  await expect(published).resolves.toEqual({ qos: 2, reasonCode: 0 });
  await second.nothing(it.clock);
});

test('a resent publish obeys the Receive Maximum of the new connection', async () => {
  const it = scriptedLoop({ ...SESSION, inflight: 10 });
  const first = await it.connect();
  const published = publishAll(it.loop, 5);
  for (let id = 1; id <= 5; id++) await first.next('publish');
  const second = await connectAgain(it, first, true, { receiveMaximum: 2 });
  await it.loop.publish('a', 'free');
  for (const id of [1, 2]) expect(await second.next('publish')).toMatchObject({ messageId: id, dup: true });
  expect(await second.next('publish')).toMatchObject({ qos: 0 });
  await second.nothing(it.clock);
  for (const id of [3, 4, 5]) {
    second.puback(id - 2);
    expect(await second.next('publish')).toMatchObject({ messageId: id, dup: true });
  }
  second.puback(4);
  second.puback(5);
  await Promise.all(published);
});

test('a broker that reports a session under another identifier has lost ours', async () => {
  const it = scriptedLoop(SESSION);
  const first = await it.connect();
  const published = publishAll(it.loop, 1);
  await first.next('publish');
  first.cut();
  await it.clock.advance(RETRY_MS);
  const second = await it.broker.acceptConnected({
    sessionPresent: true,
    properties: { assignedClientIdentifier: 'somebody-else' },
  });
  const publish = await second.next('publish');
  expect(publish.dup).toBe(false);
  second.puback(publish);
  await Promise.all(published);
});

async function connectAgain(
  { broker, clock }: ScriptedLoop,
  lost: ScriptedConnection,
  sessionPresent: boolean,
  properties?: NonNullable<Parameters<ScriptedConnection['connack']>[0]>['properties'],
): Promise<ScriptedConnection> {
  lost.cut();
  // More than one loss in a row doubles the delay.
  await clock.advance(4 * RETRY_MS);
  return broker.acceptConnected({ sessionPresent, properties });
}

function publishAll(loop: EventLoop, count: number, qos: 1 | 2 = 1): Promise<unknown>[] {
  return Array.from({ length: count }, (_, i) => loop.publish('a', `${i + 1}`, { qos }));
}
