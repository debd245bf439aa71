import { createHmac } from 'node:crypto';
import { MqttConnectionError, MqttCredentialsError, MqttProtocolError, MqttStateError } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

const CONTINUE = 0x18;
const RE_AUTHENTICATE = 0x19;

/** A challenge and its keyed hash; the server proves itself with the hash of the answer. */
function challengeResponse(secret = 'shared secret') {
  const hash = (text: Buffer | string): Buffer => createHmac('sha256', secret).update(text).digest();
  let answer: Buffer = Buffer.alloc(0);
  return {
    hash,
    authentication: {
      method: 'HMAC',
      start: () => Buffer.from('plant-7'),
      answer: (challenge: Buffer | undefined) => (answer = hash(challenge ?? '')),
      verify(proof: Buffer | undefined) {
        if (proof?.equals(hash(answer)) !== true) throw new Error('the server does not know the secret');
      },
    },
  };
}

const auth = (reasonCode: number, authenticationData?: Buffer, authenticationMethod = 'HMAC') => ({
  cmd: 'auth' as const,
  reasonCode,
  properties: { authenticationMethod, ...(authenticationData && { authenticationData }) },
});

test('[MQTT-4.12.0-2] [MQTT-4.12.0-3] CONNECT names the method, AUTH answers the challenge, and the server is verified before the loop is connected', async () => {
  const { authentication, hash } = challengeResponse();
  const { loop, broker, clock } = scriptedLoop({ authentication });
  const started = loop.start();
  const connection = await broker.accept();
  const connect = await connection.connect();
  expect(connect.properties).toMatchObject({
    authenticationMethod: 'HMAC',
    authenticationData: Buffer.from('plant-7'),
  });
  connection.send(auth(CONTINUE, Buffer.from('nonce')));
  const answer = await connection.next('auth');
  expect(answer).toMatchObject({ reasonCode: CONTINUE, properties: { authenticationData: hash('nonce') } });
  await clock.settle();
  expect(loop.status).toBe('connecting');
  connection.connack({ properties: { authenticationMethod: 'HMAC', authenticationData: hash(hash('nonce')) } });
  await started;
  expect(loop.status).toBe('connected');
});

test('a server that cannot prove itself is left, with the reason as the cause', async () => {
  const { authentication } = challengeResponse();
  const { loop, broker } = scriptedLoop({ authentication });
  const started = loop.start().catch((error: unknown) => error);
  const connection = await broker.accept();
  await connection.connect();
  connection.connack({ properties: { authenticationMethod: 'HMAC', authenticationData: Buffer.from('guess') } });
  const error = await started;
  expect(error).toBeInstanceOf(MqttCredentialsError);
  expect((error as Error).cause).toEqual(new Error('the server does not know the secret'));
});

test.each(['start', 'answer'] as const)(
  'authentication.%s that throws fails the attempt with its error as the cause',
  async (step) => {
    const broken = new Error('no key');
    const { authentication } = challengeResponse();
    const { loop, broker } = scriptedLoop({
      authentication: {
        ...authentication,
        [step]() {
          throw broken;
        },
      },
    });
    const started = loop.start().catch((error: unknown) => error);
    if (step === 'answer') {
      const connection = await broker.accept();
      await connection.connect();
      connection.send(auth(CONTINUE));
    }
    const error = await started;
    expect(error).toBeInstanceOf(MqttCredentialsError);
    expect((error as Error).cause).toBe(broken);
  },
);

test('[MQTT-4.12.0-5] another method in AUTH or CONNACK ends the attempt', async () => {
  const { authentication } = challengeResponse();
  for (const packet of ['auth', 'connack'] as const) {
    const { loop, broker } = scriptedLoop({ authentication });
    const started = loop.start().catch((error: unknown) => error);
    const connection = await broker.accept();
    await connection.connect();
    if (packet === 'auth') connection.send(auth(CONTINUE, undefined, 'OTHER'));
    else connection.connack({ properties: { authenticationMethod: 'OTHER' } });
    expect(await started).toBeInstanceOf(MqttProtocolError);
  }
});

test('[MQTT-4.12.0-6] AUTH from a server that was not asked ends the connection with DISCONNECT 0x82', async () => {
  const { connect, disconnected, clock } = scriptedLoop();
  const connection = await connect();
  connection.send(auth(CONTINUE));
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
  await clock.settle();
  expect(disconnected[0]?.cause).toBeInstanceOf(MqttProtocolError);
});

test('a loop that is closed while it judges the server says goodbye: the server must not publish the will', async () => {
  const { authentication } = challengeResponse();
  const { loop, broker, clock } = scriptedLoop({
    authentication: { ...authentication, verify: () => new Promise<void>(() => {}) },
  });
  const started = loop.start().catch((error: unknown) => error);
  const connection = await broker.accept();
  await connection.connect();
  connection.connack({ properties: { authenticationMethod: 'HMAC' } });
  await clock.settle();
  await loop.shutdown({ drainTimeoutMs: 0 });
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0 });
  expect(await started).toMatchObject({ code: 'MQTT_CLOSED' });
});

test('authentication never falls back to MQTT 3.1.1', async () => {
  const { authentication } = challengeResponse();
  const { loop, broker } = scriptedLoop({ authentication, protocolVersion: 'auto' });
  const started = loop.start().catch((error: unknown) => error);
  const connection = await broker.accept();
  await connection.connect();
  connection.connack({ reasonCode: 0x84 });
  expect(await started).toMatchObject({ code: 'MQTT_CONNECTION_REFUSED', reasonCode: 0x84 });
  expect(broker.connections).toHaveLength(1);
});

async function authenticated(hash: (text: Buffer | string) => Buffer, loop: ReturnType<typeof scriptedLoop>) {
  const started = loop.loop.start();
  const connection = await loop.broker.accept();
  await connection.connect();
  connection.connack({ properties: { authenticationMethod: 'HMAC', authenticationData: hash(Buffer.alloc(0)) } });
  await started;
  return connection;
}

test('[MQTT-4.12.1-1] reauthenticate proves the client again on the open connection', async () => {
  const { authentication, hash } = challengeResponse();
  const scripted = scriptedLoop({ authentication });
  const connection = await authenticated(hash, scripted);
  const done = scripted.loop.reauthenticate();
  expect(await connection.next('auth')).toMatchObject({
    reasonCode: RE_AUTHENTICATE,
    properties: { authenticationMethod: 'HMAC', authenticationData: Buffer.from('plant-7') },
  });
  connection.send(auth(CONTINUE, Buffer.from('again')));
  expect(await connection.next('auth')).toMatchObject({
    reasonCode: CONTINUE,
    properties: { authenticationData: hash('again') },
  });
  connection.send(auth(0, hash(hash('again'))));
  await done;
  expect(scripted.loop.stats().connections).toBe(1);
});

test('a connection that ends fails the re-authentication under way', async () => {
  const { authentication, hash } = challengeResponse();
  const scripted = scriptedLoop({ authentication });
  const connection = await authenticated(hash, scripted);
  const done = scripted.loop.reauthenticate().catch((error: unknown) => error);
  await connection.next('auth');
  connection.cut();
  expect(await done).toBeInstanceOf(MqttConnectionError);
});

test('reauthenticate without the option, without a connection, or twice at once is an error that says so', async () => {
  const plain = scriptedLoop();
  await expect(plain.loop.reauthenticate()).rejects.toThrow(MqttStateError);
  const { authentication, hash } = challengeResponse();
  const scripted = scriptedLoop({ authentication });
  await expect(scripted.loop.reauthenticate()).rejects.toThrow('needs a connection');
  await authenticated(hash, scripted);
  const first = scripted.loop.reauthenticate().catch((error: unknown) => error);
  await expect(scripted.loop.reauthenticate()).rejects.toThrow('under way already');
  await scripted.loop.shutdown({ drainTimeoutMs: 0 });
  expect(await first).toBeInstanceOf(MqttConnectionError);
});
