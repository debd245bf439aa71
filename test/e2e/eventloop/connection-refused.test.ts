import { EventLoop, MqttConnectionRefusedError, type Credentials } from 'nestjs-rumqtt/eventloop';
import type { ScriptedBroker, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

/** Bad user name or password, in the words of each version. */
const BAD_CREDENTIALS = { 4: { returnCode: 4 }, 5: { reasonCode: 0x86 } } as const;

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('R11: a CONNACK with bad credentials rejects start with the reason; the next start is accepted', async () => {
    const { loop, broker, clock, connected, disconnected } = scriptedLoop({ protocolVersion });
    const refused = watch(loop.start());
    const first = await broker.acceptConnected(BAD_CREDENTIALS[protocolVersion]);
    await first.closed();
    await clock.settle();
    expect(refused.error).toBeInstanceOf(MqttConnectionRefusedError);
    expect(refused.error).toMatchObject({
      code: 'MQTT_CONNECTION_REFUSED',
      reasonCode: 0x86,
      reason: 'bad user name or password',
      server: 'mqtt://localhost:1883',
    });
    expect(loop.status).toBe('idle');
    expect(disconnected).toMatchObject([{ reasonCode: 0x86, willRetryInMs: undefined }]);

    const accepted = watch(loop.start());
    await broker.acceptConnected();
    await clock.settle();
    expect(accepted.state).toBe('resolved');
    expect(connected).toMatchObject([{ sessionPresent: false, attempt: 1 }]);
  });

  test('R11: under "always" the credentials are asked for again before the next attempt', async () => {
    const passwords = ['stale', 'fresh'];
    const { broker, clock, loop, connected } = scriptedLoop({
      protocolVersion,
      reconnect: { policy: 'always', jitter: 'none' },
      credentials: (): Credentials => ({ username: 'plant', password: passwords.shift() ?? 'none left' }),
    });
    const started = watch(loop.start());
    const first = await broker.acceptConnected(BAD_CREDENTIALS[protocolVersion]);
    expect(first.connectPacket).toMatchObject({ username: 'plant', password: Buffer.from('stale') });
    await clock.advance(1_000);
    const second = await broker.acceptConnected();
    expect(second.connectPacket).toMatchObject({ username: 'plant', password: Buffer.from('fresh') });
    await clock.settle();
    expect(started.state).toBe('resolved');
    expect(connected).toMatchObject([{ attempt: 2 }]);
  });

  test('what was asked for before the refusal waits and is sent after it', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const published = watch(loop.publish('a', 'kept', { qos: 1 }));
    const refused = watch(loop.start());
    await broker.acceptConnected(BAD_CREDENTIALS[protocolVersion]);
    await clock.settle();
    expect([refused.state, published.state]).toEqual(['rejected', 'pending']);
    void loop.start();
    const second = await broker.acceptConnected();
    second.puback(await second.next('publish'));
    await clock.settle();
    expect(published.state).toBe('resolved');
  });

  test('packets that follow a refusal on the same link are not handled', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    const refused = watch(loop.start());
    const connection = await broker.acceptConnected(BAD_CREDENTIALS[protocolVersion]);
    connection.publish({ topic: 'too late' });
    await clock.settle();
    expect(refused.state).toBe('rejected');
    expect(topics).toEqual([]);
  });

  test('packets right behind an accepting CONNACK are', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    void loop.start();
    const connection = await broker.accept();
    await connection.connect();
    const publish = Buffer.from(protocolVersion === 5 ? [0x30, 4, 0, 1, 0x61, 0] : [0x30, 3, 0, 1, 0x61]);
    const connack = Buffer.from(protocolVersion === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]);
    connection.send(Buffer.concat([connack, publish, publish]));
    await clock.settle();
    expect(topics).toEqual(['a', 'a']);
  });

  test.each([
    ['PUBLISH', Buffer.from([0x30, 3, 0, 1, 0x61])],
    ['PINGRESP', Buffer.from([0xd0, 0])],
    ['reserved flags', Buffer.from([0x20, 3, 2, 0, 0])],
    ['an unknown code', Buffer.from([0x20, 3, 0, 0x7f, 0])],
    ['a refusal with Session Present', Buffer.from(protocolVersion === 5 ? [0x20, 3, 1, 0x86, 0] : [0x20, 2, 1, 4])],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('%s in place of CONNACK fails the attempt as a protocol error', async (_name, bytes) => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const refused = watch(loop.start());
    const connection = await broker.accept();
    await connection.connect();
    connection.send(bytes);
    await clock.settle();
    expect(refused.error).toMatchObject({ code: 'MQTT_PROTOCOL_ERROR' });
    await clock.advance(1_000);
    await connection.closed();
  });

  test('a server that closes in place of CONNACK fails the attempt', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const refused = watch(loop.start());
    const connection = await broker.accept();
    await connection.connect();
    connection.end();
    await clock.settle();
    expect(refused.error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
  });
});

test.each([
  [1, 0x84],
  [2, 0x85],
  [3, 0x88],
  [4, 0x86],
  [5, 0x87],
])('MQTT 3.1.1: return code %i is reported as the reason code that means the same', async (returnCode, reasonCode) => {
  const { loop, broker, clock } = scriptedLoop({ protocolVersion: 4 });
  const refused = watch(loop.start());
  await broker.acceptConnected({ returnCode });
  await clock.settle();
  expect(refused.error).toMatchObject({ code: 'MQTT_CONNECTION_REFUSED', reasonCode });
});

test('MQTT 5: the reason string of the refusal is in the error', async () => {
  const { loop, broker, clock } = scriptedLoop();
  const refused = watch(loop.start());
  await broker.acceptConnected({ reasonCode: 0x87, properties: { reasonString: 'ask Anna' } });
  await clock.settle();
  expect(refused.error).toMatchObject({ reason: 'not authorized: ask Anna' });
  expect((refused.error as Error).message).toContain('ask Anna');
});

describe("protocolVersion 'auto'", () => {
  /** Refuses MQTT 5 as a broker of each kind does. */
  const refusals = {
    'CONNACK 0x84': Buffer.from([0x20, 3, 0, 0x84, 0]),
    'the CONNACK of 3.1.1 with return code 1': Buffer.from([0x20, 2, 0, 1]),
  };

  test.each(Object.entries(refusals))('falls back to 3.1.1 on %s within the same attempt', async (_name, refusal) => {
    const { loop, broker, clock, connected, disconnected } = scriptedLoop({ protocolVersion: 'auto' });
    const started = watch(loop.start());
    const first = await broker.accept();
    expect((await first.connect()).protocolVersion).toBe(5);
    first.send(refusal);
    const second = await broker.accept();
    expect((await second.connect()).protocolVersion).toBe(4);
    second.connack();
    await clock.settle();
    await first.closed();
    expect(started.state).toBe('resolved');
    expect(loop.negotiated?.protocolVersion).toBe(4);
    expect(connected).toMatchObject([{ attempt: 1 }]);
    expect(disconnected).toEqual([]);
  });

  test('remembers what the server speaks', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 'auto', reconnect: { jitter: 'none' } });
    void loop.start();
    await broker.acceptConnected({ reasonCode: 0x84 });
    const second = await broker.acceptConnected();
    await clock.settle();
    second.cut();
    await clock.advance(1_000);
    const third = await broker.acceptConnected();
    expect(third.connectPacket?.protocolVersion).toBe(4);
    await clock.settle();
    expect(broker.connections).toHaveLength(3);
  });

  test('and of which server: another one is asked for MQTT 5', async () => {
    const { loop, broker, clock } = scriptedLoop({
      protocolVersion: 'auto',
      url: ['mqtt://old', 'mqtt://new'],
      reconnect: { jitter: 'none' },
    });
    void loop.start();
    await broker.acceptConnected({ reasonCode: 0x84 });
    const old = await broker.acceptConnected();
    await clock.settle();
    old.cut();
    await clock.advance(1_000);
    const other = await broker.acceptConnected();
    expect(other.connectPacket?.protocolVersion).toBe(5);
    await clock.settle();
    expect(loop.negotiated).toMatchObject({ server: 'mqtt://new:1883', protocolVersion: 5 });
    other.cut();
    await clock.advance(2_000);
    expect((await broker.acceptConnected()).connectPacket?.protocolVersion).toBe(4);
  });

  test('does not fall back on any other refusal', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 'auto' });
    const started = watch(loop.start());
    await broker.acceptConnected({ reasonCode: 0x86 });
    await clock.settle();
    expect(started.error).toMatchObject({ reasonCode: 0x86 });
    expect(broker.connections).toHaveLength(1);
  });

  /** A broker that knows only 3.1.1, and closes the connection on anything else. */
  async function closesOnFive(broker: ScriptedBroker): Promise<ScriptedConnection> {
    const first = await broker.accept();
    expect((await first.connect()).protocolVersion).toBe(5);
    first.end();
    const second = await broker.accept();
    expect((await second.connect()).protocolVersion).toBe(4);
    return second;
  }

  test('tries 3.1.1 in the same attempt when the server closes the connection without a word', async () => {
    const { loop, broker, clock, disconnected } = scriptedLoop({ protocolVersion: 'auto' });
    const started = loop.start();
    (await closesOnFive(broker)).connack();
    await started;
    await clock.settle();
    expect(loop.negotiated?.protocolVersion).toBe(4);
    expect(disconnected).toEqual([]);
  });

  test('believes it the second time: once it may have been the network', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 'auto', reconnect: { jitter: 'none' } });
    void loop.start();
    for (let times = 1; times <= 2; times++) {
      const connection = await closesOnFive(broker);
      connection.connack();
      await clock.settle();
      connection.cut();
      await clock.advance(5_000);
    }
    expect((await broker.acceptConnected()).connectPacket?.protocolVersion).toBe(4);
  });

  test('a server that has spoken MQTT 5 is never asked for 3.1.1', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 'auto', reconnect: { jitter: 'none' } });
    void loop.start();
    const first = await broker.acceptConnected();
    await clock.settle();
    first.cut();
    await clock.advance(1_000);
    const second = await broker.accept();
    await second.connect();
    second.end();
    await clock.advance(10_000);
    expect((await broker.acceptConnected()).connectPacket?.protocolVersion).toBe(5);
  });

  test('a server that closes both is not there: the attempt fails once', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 'auto' });
    const started = watch(loop.start());
    (await closesOnFive(broker)).end();
    await clock.settle();
    expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
    expect(broker.connections).toHaveLength(2);
  });

  test('gives up when 3.1.1 is refused too', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 'auto', reconnect: { policy: 'always' } });
    const started = watch(loop.start());
    await broker.acceptConnected({ reasonCode: 0x84 });
    await broker.acceptConnected({ returnCode: 1 });
    await clock.advance(600_000);
    expect(started.error).toMatchObject({ code: 'MQTT_CONNECTION_REFUSED', reasonCode: 0x84 });
    expect(loop.status).toBe('closed');
    expect(broker.connections).toHaveLength(2);
  });

  test('a fixed protocolVersion does not fall back', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion: 5 });
    const started = watch(loop.start());
    const connection = await broker.accept();
    await connection.connect();
    connection.send(refusals['the CONNACK of 3.1.1 with return code 1']);
    await clock.settle();
    expect(started.error).toMatchObject({ reasonCode: 0x84 });
    expect(broker.connections).toHaveLength(1);
  });
});

test.each(['', ' x', 'x ', ' '])('S10: client identifier %j is rejected', (clientId) => {
  expect(() => new EventLoop({ clientId })).toThrow(/invalid MQTT options: clientId/);
});

test('S10: without a client identifier a random one is used, the same on every connection', async () => {
  const { broker, clock, connect } = scriptedLoop({ reconnect: { jitter: 'none' } });
  const first = await connect();
  const clientId = first.connectPacket!.clientId;
  expect(clientId).toMatch(/^[0-9a-zA-Z]{10,23}$/);
  first.cut();
  await clock.advance(1_000);
  expect((await broker.acceptConnected()).connectPacket?.clientId).toBe(clientId);
  const { connect: another } = scriptedLoop();
  expect((await another()).connectPacket?.clientId).not.toBe(clientId);
});
