import { EventLoop, EventLoopStatus, MqttConnectionRefusedError, MqttOptionsError } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test.each([4, 5] as const)('U10: idle, connecting, connected when version %i is accepted', async (protocolVersion) => {
  const { loop, broker } = scriptedLoop({ protocolVersion });
  expect(loop.status).toBe(EventLoopStatus.Idle);
  const started = loop.start();
  const connection = await broker.accept();
  await connection.connect();
  expect(loop.status).toBe(EventLoopStatus.Connecting);
  expect(loop.negotiated).toBeUndefined();
  connection.connack();
  await started;
  expect(loop.status).toBe(EventLoopStatus.Connected);
  expect(loop.negotiated).toMatchObject({ protocolVersion });
});

test.each([
  [4, { returnCode: 5 }, 0x87],
  [5, { reasonCode: 0x87 }, 0x87],
] as const)('U10: a refused CONNECT of version %i leaves the loop idle, ready to start again', async (...row) => {
  const [protocolVersion, connack, reasonCode] = row;
  const { loop, broker, connected, disconnected } = scriptedLoop({ protocolVersion });
  const refused = loop.start().catch((error: unknown) => error);
  const connection = await broker.acceptConnected(connack);
  expect(await refused).toBeInstanceOf(MqttConnectionRefusedError);
  expect(await refused).toMatchObject({ reasonCode });
  await connection.closed();
  expect(loop.status).toBe(EventLoopStatus.Idle);
  expect(connected).toEqual([]);
  expect(disconnected).toMatchObject([{ reasonCode, willRetryInMs: undefined }]);

  const started = loop.start();
  await broker.acceptConnected();
  await started;
  expect(loop.status).toBe(EventLoopStatus.Connected);
});

test('U11: CONNECT mirrors the options on MQTT 3.1.1', async () => {
  const { broker, loop } = scriptedLoop({
    protocolVersion: 4,
    clientId: 'plant-7',
    clean: false,
    keepAliveSeconds: 50,
    credentials: { username: 'user', password: Buffer.from([0, 1, 255]) },
    will: { topic: 'plant/7/gone', payload: Buffer.from([0xde, 0xad]), qos: 2, retain: true },
  });
  const started = loop.start();
  const connection = await broker.accept();
  expect(await connection.connect()).toMatchObject({
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId: 'plant-7',
    clean: false,
    keepalive: 50,
    username: 'user',
    password: Buffer.from([0, 1, 255]),
    will: { topic: 'plant/7/gone', payload: Buffer.from([0xde, 0xad]), qos: 2, retain: true },
  });
  connection.connack();
  await started;
});

test('U11: CONNECT mirrors the options on MQTT 5, and leaves out what stands for the default', async () => {
  const { broker, loop } = scriptedLoop({
    protocolVersion: 5,
    clientId: 'plant-7',
    clean: false,
    sessionExpirySeconds: 3_600,
    keepAliveSeconds: 0,
    receiveMaximum: 7,
    maxPacketBytes: 1_000,
    topicAliasMaximum: 3,
    userProperties: { fleet: 'a', tag: ['x', 'y'] },
    credentials: () => ({ password: 'only a token' }),
    will: {
      topic: 'gone',
      payload: '',
      delaySeconds: 30,
      properties: { contentType: 'text/plain', payloadFormatIndicator: true, messageExpirySeconds: 60 },
    },
  });
  const started = loop.start();
  const connection = await broker.accept();
  const connect = await connection.connect();
  expect(connect).toMatchObject({
    protocolVersion: 5,
    clean: false,
    keepalive: 0,
    username: '',
    password: Buffer.from('only a token'),
    will: {
      topic: 'gone',
      payload: Buffer.alloc(0),
      qos: 0,
      retain: false,
      properties: {
        willDelayInterval: 30,
        contentType: 'text/plain',
        payloadFormatIndicator: true,
        messageExpiryInterval: 60,
      },
    },
  });
  expect(connect.properties).toEqual({
    sessionExpiryInterval: 3_600,
    receiveMaximum: 7,
    maximumPacketSize: 1_000,
    topicAliasMaximum: 3,
    userProperties: { fleet: 'a', tag: ['x', 'y'] },
  });
  connection.connack();
  await started;
});

test('U11: without options CONNECT has a random client id, no session, no credentials and no will', async () => {
  const { broker, loop } = scriptedLoop();
  const started = loop.start();
  const connection = await broker.accept();
  const connect = await connection.connect();
  expect(connect).toMatchObject({ clean: true, keepalive: 60 });
  expect(connect.clientId).toMatch(/^[0-9A-Za-z]{10,23}$/);
  expect(connect).not.toHaveProperty('will');
  expect(connect).not.toHaveProperty('username');
  expect(connect).not.toHaveProperty('password');
  expect(connect.properties).toEqual({ receiveMaximum: 100, maximumPacketSize: 262_144 });
  connection.connack();
  await started;
});

test.each([
  ['tcp://localhost', 'url'],
  ['localhost:1883', 'url'],
  ['mqtt://', 'url'],
  ['mqtt://localhost:port', 'url'],
  ['mqtt://localhost?client_id=x', 'url'],
  ['mqtt://localhost/path', 'url'],
])('U17: the URL %j is refused under its option', (url, option) => {
  expect(issuesOf({ url })).toEqual([option]);
});

test('U17: an unknown option and every value that is no number are each named', () => {
  const wrong = {
    keep_alive_secs: 5,
    keepAliveSeconds: '60',
    inflight: '100',
    connectTimeoutMs: 'soon',
    throttle: '5',
  };
  expect(issuesOf(wrong)).toEqual(expect.arrayContaining(Object.keys(wrong)));
  expect(issuesOf(wrong)).toHaveLength(Object.keys(wrong).length);
});

test.each([true, false])('U17: an empty client id is refused, with clean %j', (clean) => {
  expect(issuesOf({ clientId: '', clean, protocolVersion: 4 })).toEqual(['clientId']);
});

test('U17: starting twice, and reading messages through two iterators, is harmless', async () => {
  const { loop, broker } = scriptedLoop();
  const started = [loop.start(), loop.start()];
  const connection = await broker.acceptConnected();
  await Promise.all(started);
  const iterators = [loop.messages(), loop.messages()];
  const pulls = iterators.map((iterator) => iterator.next());
  connection.publish({ topic: 'a', payload: 'x' });
  for (const { value } of await Promise.all(pulls)) expect(value.payload.toString()).toBe('x');
  expect(broker.connections).toHaveLength(1);
});

test('U17: a loop needs no network: it takes requests before it is started', async () => {
  const { loop, broker } = scriptedLoop();
  const published = loop.publish('a', 'queued', { qos: 1 });
  expect(loop.stats()).toMatchObject({ queued: 1, connected: false });
  const started = loop.start();
  const connection = await broker.acceptConnected();
  connection.puback(await connection.next('publish'));
  await Promise.all([started, published]);
});

function issuesOf(options: object): string[] {
  try {
    void new EventLoop(options);
  } catch (error) {
    if (error instanceof MqttOptionsError) return error.issues.map(({ option }) => option);
    throw error;
  }
  return [];
}
