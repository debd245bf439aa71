import {
  MqttConnectionError,
  MqttCredentialsError,
  MqttTimeoutError,
  tokenAuthentication,
  type Authentication,
  type Credentials,
  type CredentialsRenewalFailedEvent,
  type CredentialsRenewedEvent,
  type CredentialsRequest,
  type EventLoopOptions,
} from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const METHOD = 'OAUTH2-JWT';
const SUCCESS = 0x00;
const CONTINUE = 0x18;
const RE_AUTHENTICATE = 0x19;
const LIFETIME_MS = 1_000_000;
const RENEWS_AFTER_MS = 850_000;

const auth = (reasonCode: number) => ({
  cmd: 'auth' as const,
  reasonCode,
  properties: { authenticationMethod: METHOD },
});

/** A loop whose tokens travel in Authentication Data, and a server that knows the method. */
function authenticating(options: EventLoopOptions = {}) {
  const requests: CredentialsRequest[] = [];
  const next: ((request: CredentialsRequest) => Credentials | Promise<Credentials>)[] = [];
  const authentication = tokenAuthentication(METHOD, (request) => {
    requests.push(request);
    const instead = next.shift();
    if (instead !== undefined) return instead(request);
    return { password: `token-${requests.length}`, expiresAt: request.epochMs + LIFETIME_MS };
  });
  const scripted = scriptedLoop({ authentication, keepAliveSeconds: 0, ...options });
  const renewed: CredentialsRenewedEvent[] = [];
  const failed: CredentialsRenewalFailedEvent[] = [];
  scripted.loop.on('credentials-renewed', (event) => renewed.push(event));
  scripted.loop.on('credentials-renewal-failed', (event) => failed.push(event));
  return {
    ...scripted,
    requests,
    next,
    renewed,
    failed,
    connect: () => scripted.connect({ properties: { authenticationMethod: METHOD } }),
  };
}

async function nextToken(connection: ScriptedConnection, reasonCode = RE_AUTHENTICATE): Promise<string | undefined> {
  const packet = await connection.next('auth');
  expect(packet).toMatchObject({ reasonCode, properties: { authenticationMethod: METHOD } });
  return packet.properties?.authenticationData?.toString();
}

test('[MQTT-4.12.1-1] a token in Authentication Data is renewed by AUTH: the connection stays and traffic goes on', async () => {
  const { loop, clock, connect, requests, renewed, disconnected } = authenticating();
  const connection = await connect();
  expect(connection.connectPacket?.properties).toMatchObject({
    authenticationMethod: METHOD,
    authenticationData: Buffer.from('token-1'),
  });
  expect(connection.connectPacket?.password).toBeUndefined();
  expect(requests).toMatchObject([{ server: 'mqtt://localhost:1883' }]);
  for (let renewal = 1; renewal <= 3; renewal++) {
    await clock.advance(RENEWS_AFTER_MS - 1);
    await connection.nothing(clock);
    await clock.advance(1);
    expect(await nextToken(connection)).toBe(`token-${renewal + 1}`);
    const published = loop.publish('t', 'while it is under way', { qos: 1 });
    connection.puback(await connection.next('publish'));
    await published;
    connection.send(auth(SUCCESS));
    await clock.settle();
    expect(renewed).toHaveLength(renewal);
    expect(renewed.at(-1)).toEqual({ by: 'authentication', expiresAt: new Date(clock.epochMs() + LIFETIME_MS) });
  }
  expect(disconnected).toEqual([]);
  expect(loop.stats().connections).toBe(1);
});

test('a token service that is away leaves the connection alone, and is asked again', async () => {
  const { loop, clock, connect, next, failed, renewed } = authenticating({ reconnect: { jitter: 'none' } });
  const connection = await connect();
  next.push(
    () => Promise.reject(new Error('away')),
    () => 'token' as never,
  );
  await clock.advance(RENEWS_AFTER_MS);
  expect(failed).toMatchObject([{ willRetryInMs: 1_000, cause: { code: 'MQTT_CREDENTIALS' } }]);
  await clock.advance(1_000);
  expect(failed).toMatchObject([{}, { willRetryInMs: 2_000, cause: { code: 'MQTT_CREDENTIALS' } }]);
  await connection.nothing(clock);
  await clock.advance(2_000);
  expect(await nextToken(connection)).toBe('token-4');
  connection.send(auth(SUCCESS));
  await clock.settle();
  expect(renewed).toHaveLength(1);
  expect(loop.stats().connections).toBe(1);
});

test('one that hangs, too: the server has heard nothing, so nothing is broken', async () => {
  const { loop, clock, connect, next, requests, failed } = authenticating({ connectTimeoutMs: 5_000 });
  const connection = await connect();
  next.push(() => new Promise(() => {}));
  await clock.advance(RENEWS_AFTER_MS + 5_000);
  expect(failed).toMatchObject([{ cause: { code: 'MQTT_TIMEOUT' } }]);
  expect(requests[1]!.signal.aborted).toBe(true);
  await clock.advance(1_000);
  expect(await nextToken(connection)).toBe('token-3');
  connection.send(auth(SUCCESS));
  await clock.settle();
  expect(loop.status).toBe('connected');
});

test('a server that does not answer AUTH loses the connection after connectTimeoutMs, and the next one has a fresh token', async () => {
  const { clock, connect, broker, disconnected } = authenticating({ connectTimeoutMs: 5_000 });
  const connection = await connect();
  await clock.advance(RENEWS_AFTER_MS);
  expect(await nextToken(connection)).toBe('token-2');
  await clock.advance(5_000);
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_TIMEOUT', delivery: 'unknown' } }]);
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ properties: { authenticationMethod: METHOD } });
  expect(second.connectPacket?.properties?.authenticationData?.toString()).toBe('token-3');
});

test('a server that refuses the fresh token ends the connection; the loop asks for another one', async () => {
  const { clock, connect, broker, disconnected } = authenticating();
  const connection = await connect();
  await clock.advance(RENEWS_AFTER_MS);
  await nextToken(connection);
  connection.disconnect({ reasonCode: 0x87 });
  await clock.settle();
  expect(disconnected).toMatchObject([{ reasonCode: 0x87 }]);
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ properties: { authenticationMethod: METHOD } });
  expect(second.connectPacket?.properties?.authenticationData?.toString()).toBe('token-3');
});

test('[MQTT-4.12.1-2] a challenge, which a token alone cannot answer, ends the connection with a reason', async () => {
  const { clock, connect, disconnected } = authenticating();
  const connection = await connect();
  await clock.advance(RENEWS_AFTER_MS);
  await nextToken(connection);
  connection.send(auth(CONTINUE));
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x80 });
  await clock.settle();
  expect(disconnected[0]!.cause.message).toContain('has no answer but the token');
});

test('reauthenticate() on demand moves the next renewal', async () => {
  const { loop, clock, connect } = authenticating();
  const connection = await connect();
  await clock.advance(RENEWS_AFTER_MS - 1);
  const done = loop.reauthenticate();
  expect(await nextToken(connection)).toBe('token-2');
  connection.send(auth(SUCCESS));
  await done;
  await clock.advance(RENEWS_AFTER_MS - 1);
  await connection.nothing(clock);
  await clock.advance(1);
  expect(await nextToken(connection)).toBe('token-3');
});

test('reauthenticate() settles in time whatever happens', async () => {
  const { loop, clock, connect, next } = authenticating({ connectTimeoutMs: 5_000 });
  const connection = await connect();
  next.push(() => Promise.reject(new Error('away')));
  await expect(loop.reauthenticate()).rejects.toThrow(MqttCredentialsError);
  next.push(() => new Promise(() => {}));
  const hung = watch(loop.reauthenticate());
  await clock.advance(5_000);
  expect(hung.error).toBeInstanceOf(MqttTimeoutError);
  expect(loop.status).toBe('connected');
  const unanswered = watch(loop.reauthenticate());
  await nextToken(connection);
  await clock.advance(5_000);
  expect(unanswered.error).toBeInstanceOf(MqttConnectionError);
  expect(loop.status).toBe('reconnecting');
});

test.each<[string, Partial<Authentication>, string]>([
  ['seconds', { expiresAt: () => 1_893_456_000 }, 'multiply by 1 000'],
  ['text', { expiresAt: () => 'tomorrow' as never }, 'authentication.expiresAt returned'],
  [
    'a throw',
    {
      expiresAt: () => {
        throw new Error('no idea');
      },
    },
    'authentication.expiresAt failed',
  ],
])('authentication.expiresAt with %s fails the attempt', async (_name, wrong, told) => {
  const plain = { method: METHOD, start: () => undefined, answer: () => undefined };
  const { loop } = scriptedLoop({ authentication: { ...plain, ...wrong } });
  const failed = loop.start();
  await expect(failed).rejects.toThrow(MqttCredentialsError);
  await expect(failed).rejects.toThrow(told);
});
