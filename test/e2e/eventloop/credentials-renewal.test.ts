import {
  EventLoop,
  MqttConnectTimeoutError,
  MqttCredentialsError,
  MqttOptionsError,
  MqttStateError,
  MqttTimeoutError,
  type Credentials,
  type CredentialsRenewalFailedEvent,
  type CredentialsRenewedEvent,
  type CredentialsRequest,
  type EventLoopOptions,
} from 'nestjs-rumqtt/eventloop';
import { VirtualClock, type ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const LIFETIME_SECONDS = 1_000;
/** A tenth of it, and half as much again by the fixture's randomness of 0.5. */
const RENEWS_AFTER_MS = 850_000;

interface Issuer {
  readonly requests: CredentialsRequest[];
  /** What the next calls do instead of handing out a token. */
  readonly next: ((request: CredentialsRequest) => Credentials | Promise<Credentials>)[];
  readonly provider: (request: CredentialsRequest) => Credentials | Promise<Credentials>;
}

/** Hands out `token-1`, `token-2`, …, each good for the same time from when it was asked for. */
function issuer(lifetimeSeconds = LIFETIME_SECONDS): Issuer {
  const requests: CredentialsRequest[] = [];
  const next: Issuer['next'] = [];
  const provider: Issuer['provider'] = (request) => {
    requests.push(request);
    const instead = next.shift();
    if (instead !== undefined) return instead(request);
    const expiresAt = request.epochMs + lifetimeSeconds * 1_000;
    return { username: 'device', password: `token-${requests.length}`, expiresAt };
  };
  return { requests, next, provider };
}

interface Events {
  readonly renewed: CredentialsRenewedEvent[];
  readonly failed: CredentialsRenewalFailedEvent[];
}

function renewing({ provider }: Issuer, options: EventLoopOptions = {}, random = 0.5): ScriptedLoop & Events {
  const scripted = scriptedLoop({ credentials: provider, keepAliveSeconds: 0, ...options }, { random: () => random });
  const renewed: CredentialsRenewedEvent[] = [];
  const failed: CredentialsRenewalFailedEvent[] = [];
  scripted.loop.on('credentials-renewed', (event) => renewed.push(event));
  scripted.loop.on('credentials-renewal-failed', (event) => failed.push(event));
  return { ...scripted, renewed, failed };
}

const passwordOf = ({ connectPacket }: ScriptedConnection): string | undefined => connectPacket?.password?.toString();

test.each([4, 5] as const)(
  'before the token expires the loop leaves in peace and comes back with a fresh one (version %i)',
  async (protocolVersion) => {
    const tokens = issuer();
    const { loop, clock, broker, connect, connected, disconnected, renewed } = renewing(tokens, { protocolVersion });
    const first = await connect();
    expect(passwordOf(first)).toBe('token-1');
    await clock.advance(RENEWS_AFTER_MS - 1);
    expect(tokens.requests).toHaveLength(1);
    await first.nothing(clock);
    await clock.advance(1);
    const expiresAt = new Date(clock.epochMs() + LIFETIME_SECONDS * 1_000);
    expect(renewed).toEqual([{ by: 'reconnect', expiresAt }]);
    await first.next('disconnect');
    await first.closed();
    expect(disconnected).toMatchObject([{ willRetryInMs: 0, reasonCode: undefined }]);
    expect(disconnected[0]!.cause).toBeInstanceOf(MqttStateError);
    const second = await broker.acceptConnected();
    await clock.settle();
    expect(passwordOf(second)).toBe('token-2');
    // Asked once, ahead of the attempt that used it.
    expect(tokens.requests).toHaveLength(2);
    expect(connected).toHaveLength(2);
    expect(loop.status).toBe('connected');
  },
);

test('it goes on so: every connection renews what it connected with', async () => {
  const tokens = issuer();
  const { clock, broker, connect, renewed } = renewing(tokens);
  let connection = await connect();
  for (let renewal = 1; renewal <= 5; renewal++) {
    await clock.advance(RENEWS_AFTER_MS);
    await connection.next('disconnect');
    connection = await broker.acceptConnected();
    expect(passwordOf(connection)).toBe(`token-${renewal + 1}`);
  }
  expect(renewed).toHaveLength(5);
});

test('one timer waits for it, and none where credentials do not expire', async () => {
  const timers = async (credentials: Issuer['provider']): Promise<number> => {
    const { connect, clock } = scriptedLoop({ credentials, keepAliveSeconds: 0 });
    await connect();
    return clock.pendingTimers;
  };
  expect(await timers(issuer().provider)).toBe(1);
  expect(await timers(() => ({ username: 'device', password: 'for ever' }))).toBe(0);
});

test.each([
  ['a tenth of the lifetime', {}, 1_000, 0, 900],
  ['spread up to twice as early', {}, 1_000, 0.999_999, 800],
  ['five minutes at most', {}, 86_400, 0, 86_100],
  ['as asked for', { renewBeforeSeconds: 30 }, 1_000, 0, 970],
  ['as asked for, spread', { renewBeforeSeconds: 30 }, 1_000, 0.5, 955],
  ['a quarter of the lifetime when more was asked for', { renewBeforeSeconds: 3_600 }, 1_000, 0, 750],
  ['half the lifetime at the earliest', { renewBeforeSeconds: 3_600 }, 1_000, 0.999_999, 500],
  ['also for a token of seconds', {}, 5, 0.5, 4.25],
])('how early: %s', async (_name, options, lifetimeSeconds, random, afterSeconds) => {
  const tokens = issuer(lifetimeSeconds);
  const { clock, connect } = renewing(tokens, options, random);
  await connect();
  await clock.advance(afterSeconds * 1_000 - 1);
  expect(tokens.requests).toHaveLength(1);
  await clock.advance(2);
  expect(tokens.requests).toHaveLength(2);
});

test('expiresAt may be a Date', async () => {
  const tokens = issuer();
  tokens.next.push(({ epochMs }) => ({ expiresAt: new Date(epochMs + 10_000) }));
  const { clock, connect } = renewing(tokens);
  await connect();
  await clock.advance(8_500);
  expect(tokens.requests).toHaveLength(2);
});

describe('nothing is lost on the way', () => {
  test('what is under way with the server finishes first; what comes meanwhile is sent on the next connection', async () => {
    const { loop, clock, broker, connect } = renewing(issuer());
    const first = await connect();
    const before = watch(loop.publish('before', '1', { qos: 1 }));
    const exactlyOnce = watch(loop.publish('once', '2', { qos: 2 }));
    const qos1 = await first.next('publish');
    const qos2 = await first.next('publish');
    await clock.advance(RENEWS_AFTER_MS);
    const meanwhile = [0, 1, 2].map((qos) => watch(loop.publish('meanwhile', String(qos), { qos: qos as 0 | 1 | 2 })));
    await first.nothing(clock);
    first.puback(qos1);
    first.pubrec(qos2);
    first.pubcomp(await first.next('pubrel'));
    await first.next('disconnect');
    expect([before.state, exactlyOnce.state]).toEqual(['resolved', 'resolved']);

    const second = await broker.acceptConnected();
    expect(await second.next('publish')).toMatchObject({ topic: 'meanwhile', qos: 0 });
    second.puback(await second.next('publish'));
    second.pubrec(await second.next('publish'));
    second.pubcomp(await second.next('pubrel'));
    await clock.settle();
    expect(meanwhile.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved']);
  });

  test('a server that does not answer is waited for five seconds, then the rest is sent again', async () => {
    const options = { clean: false, sessionExpirySeconds: 3_600 };
    const { loop, clock, broker, connect } = renewing(issuer(), options);
    const first = await connect();
    const published = watch(loop.publish('t', '1', { qos: 1 }));
    const { messageId } = await first.next('publish');
    await clock.advance(RENEWS_AFTER_MS + 4_999);
    await first.nothing(clock);
    await clock.advance(1);
    await first.next('disconnect');
    const second = await broker.acceptConnected({ sessionPresent: true });
    const again = await second.next('publish');
    expect(again).toMatchObject({ messageId, dup: true });
    second.puback(again);
    await clock.settle();
    expect(published.state).toBe('resolved');
  });

  test('acknowledgements that we owe leave before DISCONNECT, and subscriptions are made again where the session is gone', async () => {
    const { loop, clock, broker, connect } = renewing(issuer());
    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    const first = await connect();
    const subscribed = loop.subscribe('in/#', { qos: 1 });
    first.suback(await first.next('subscribe'));
    await subscribed;
    await clock.advance(RENEWS_AFTER_MS - 1);
    first.publish({ topic: 'in/1', payload: '1', qos: 1, messageId: 5 });
    await clock.advance(1);
    await first.next('puback');
    await first.next('disconnect');
    const second = await broker.acceptConnected();
    second.suback(await second.next('subscribe'));
    second.publish({ topic: 'in/2', payload: '2', qos: 1, messageId: 5 });
    await second.next('puback');
    expect(topics).toEqual(['in/1', 'in/2']);
  });

  test('a lost connection while the server is waited for is an ordinary loss, and the fresh token is used', async () => {
    const tokens = issuer();
    const { loop, clock, broker, connect, disconnected } = renewing(tokens, { reconnect: { minDelayMs: 1_000 } });
    const first = await connect();
    const published = watch(loop.publish('t', '1', { qos: 1 }));
    await first.next('publish');
    await clock.advance(RENEWS_AFTER_MS);
    first.cut();
    await clock.settle();
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECTION_LOST' } }]);
    await clock.advance(1_000);
    const second = await broker.acceptConnected();
    expect(passwordOf(second)).toBe('token-2');
    second.puback(await second.next('publish'));
    await clock.settle();
    expect(published.state).toBe('resolved');
    expect(tokens.requests).toHaveLength(2);
  });
});

describe('a provider that fails when it is time', () => {
  const away = (): never => {
    throw new Error('the token service is away');
  };

  test('leaves the connection alone and is asked again, with growing delays, until it has an answer', async () => {
    const tokens = issuer();
    const options = { reconnect: { minDelayMs: 2_000, jitter: 'none' as const } };
    const { loop, clock, broker, connect, failed, renewed, disconnected } = renewing(tokens, options);
    const first = await connect();
    const expiresAt = new Date(clock.epochMs() + LIFETIME_SECONDS * 1_000);
    tokens.next.push(away, away);
    await clock.advance(RENEWS_AFTER_MS);
    expect(failed).toMatchObject([{ willRetryInMs: 2_000, expiresAt, cause: { code: 'MQTT_CREDENTIALS' } }]);
    expect(failed[0]!.cause).toBeInstanceOf(MqttCredentialsError);
    expect((failed[0]!.cause as Error).cause).toEqual(new Error('the token service is away'));
    await clock.advance(2_000);
    expect(failed).toMatchObject([{}, { willRetryInMs: 4_000 }]);
    await first.nothing(clock);
    expect(loop.status).toBe('connected');
    expect(disconnected).toEqual([]);
    await clock.advance(4_000);
    expect(renewed).toHaveLength(1);
    await first.next('disconnect');
    expect(passwordOf(await broker.acceptConnected())).toBe('token-4');
  });

  test('until the token has expired; then it is for the server to end the connection, and the next attempt asks anew', async () => {
    const tokens = issuer();
    const { loop, clock, broker, connect, failed } = renewing(tokens, { reconnect: { jitter: 'none' } });
    const first = await connect();
    tokens.next.push(...Array.from({ length: 100 }, () => away));
    await clock.advance(LIFETIME_SECONDS * 1_000);
    expect(failed.at(-1)).toMatchObject({ willRetryInMs: undefined });
    expect(failed.slice(0, -1).every(({ willRetryInMs }) => willRetryInMs! > 0)).toBe(true);
    const asked = tokens.requests.length;
    await clock.advance(10 * LIFETIME_SECONDS * 1_000);
    expect(tokens.requests).toHaveLength(asked);
    expect(loop.status).toBe('connected');
    tokens.next.length = 0;
    first.disconnect({ reasonCode: 0x87 });
    await clock.advance(1_000);
    expect(passwordOf(await broker.acceptConnected())).toBe(`token-${asked + 1}`);
  });

  test('that hangs is given up after connectTimeoutMs, and told so', async () => {
    const tokens = issuer();
    const { clock, connect, failed } = renewing(tokens, { connectTimeoutMs: 7_000 });
    await connect();
    tokens.next.push(() => new Promise(() => {}));
    await clock.advance(RENEWS_AFTER_MS + 6_999);
    expect(tokens.requests[1]!.signal.aborted).toBe(false);
    expect(failed).toEqual([]);
    await clock.advance(1);
    expect(tokens.requests[1]!.signal.aborted).toBe(true);
    expect(failed).toMatchObject([{ cause: { code: 'MQTT_TIMEOUT', timeoutMs: 7_000 } }]);
    expect(failed[0]!.cause).toBeInstanceOf(MqttTimeoutError);
  });

  test.each([
    ['the same credentials again', ({ epochMs }: CredentialsRequest) => ({ expiresAt: epochMs + 150_000 }), 'no later'],
    ['credentials that have expired', ({ epochMs }: CredentialsRequest) => ({ expiresAt: epochMs }), 'that expired at'],
    ['an expiry in seconds', () => ({ expiresAt: 1_893_456_000 }), 'multiply by 1 000'],
    ['an expiry as text', () => ({ expiresAt: '2030-01-01' as never }), 'no Date and no number'],
    ['an invalid date', () => ({ expiresAt: new Date('never') }), 'no Date and no number'],
    ['nothing', () => undefined as never, 'undefined instead of'],
    ['a number for a password', () => ({ password: 5 as never }), 'a password that is no'],
  ])('or returns %s keeps the connection', async (_name, returned, told) => {
    const tokens = issuer();
    const { loop, clock, connect, failed } = renewing(tokens);
    const first = await connect();
    tokens.next.push(returned);
    await clock.advance(RENEWS_AFTER_MS);
    expect(failed).toMatchObject([{ cause: { code: 'MQTT_CREDENTIALS' } }]);
    expect(failed[0]!.cause.message).toContain(told);
    expect(loop.status).toBe('connected');
    await first.nothing(clock);
  });

  test('credentials that expire no more end the renewing', async () => {
    const tokens = issuer();
    const { clock, broker, connect, renewed } = renewing(tokens);
    const first = await connect();
    tokens.next.push(() => ({ password: 'for ever' }));
    await clock.advance(RENEWS_AFTER_MS);
    await first.next('disconnect');
    await broker.acceptConnected();
    await clock.settle();
    expect(renewed).toEqual([{ by: 'reconnect', expiresAt: undefined }]);
    expect(clock.pendingTimers).toBe(0);
  });
});

test('pause, reconnect and shutdown stop a renewal that is under way', async () => {
  for (const end of ['pause', 'reconnect', 'shutdown'] as const) {
    const tokens = issuer();
    const { loop, clock, broker, connect, renewed, failed } = renewing(tokens);
    const first = await connect();
    tokens.next.push(() => new Promise(() => {}));
    await clock.advance(RENEWS_AFTER_MS);
    const done = loop[end]();
    await first.next('disconnect');
    if (end === 'reconnect') await broker.acceptConnected();
    await done;
    expect(tokens.requests[1]!.signal.aborted).toBe(true);
    expect([renewed, failed]).toEqual([[], []]);
  }
});

test('other credentials by reconnect() are used, not what was prepared for the old ones', async () => {
  const tokens = issuer();
  const { loop, clock, broker, connect } = renewing(tokens);
  const first = await connect();
  watch(loop.publish('t', '1', { qos: 1 }));
  const publish = await first.next('publish');
  await clock.advance(RENEWS_AFTER_MS);
  const reconnected = loop.reconnect({ credentials: { username: 'device', password: 'static' } });
  await first.next('disconnect');
  const second = await broker.acceptConnected();
  await reconnected;
  expect(passwordOf(second)).toBe('static');
  expect(publish.topic).toBe('t');
  second.puback(await second.next('publish'));
});

describe('no attempt uses a stale token', () => {
  test('a provider that hands one out fails the attempt before anything is dialled', async () => {
    const tokens = issuer();
    tokens.next.push(({ epochMs }) => ({ password: 'old', expiresAt: epochMs - 1 }));
    const { loop, broker } = renewing(tokens);
    const failed = loop.start();
    await expect(failed).rejects.toThrow(MqttCredentialsError);
    await expect(failed).rejects.toThrow('by this computer’s clock'.replace('’', "'"));
    expect(broker.connections).toHaveLength(0);
  });

  test('a network that takes longer than the token lives: no CONNECT is sent', async () => {
    const tokens = issuer(5);
    const clock = new VirtualClock();
    const written: Buffer[] = [];
    const dial = async (): Promise<never> => {
      const { PassThrough } = await import('node:stream');
      const stream = new PassThrough();
      stream.write = ((bytes: Buffer) => written.push(bytes) > 0) as never;
      return new Promise((resolve) => clock.startTimer(() => resolve(stream as never), 6_000));
    };
    const loop = new EventLoop({ credentials: tokens.provider }, { clock, dial });
    const started = watch(loop.start());
    await clock.advance(6_000);
    expect(started.error).toMatchObject({ code: 'MQTT_CREDENTIALS' });
    expect((started.error as Error).message).toContain('expired while the network connection was being opened');
    expect(written).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('what was prepared is not kept for an attempt that comes too late', async () => {
    const tokens = issuer(10);
    const { loop, clock, broker, connect } = renewing(tokens, { reconnect: { minDelayMs: 60_000, jitter: 'none' } });
    const first = await connect();
    watch(loop.publish('t', '1', { qos: 1 }));
    await first.next('publish');
    await clock.advance(8_500);
    expect(tokens.requests).toHaveLength(2);
    first.cut();
    await clock.advance(60_000);
    const second = await broker.acceptConnected();
    expect(passwordOf(second)).toBe('token-3');
    second.puback(await second.next('publish'));
  });
});

describe('a provider', () => {
  test('is told who asks, for where, when, and when nobody waits any more', async () => {
    const tokens = issuer();
    tokens.next.push(() => new Promise(() => {}));
    const { loop, clock, broker } = renewing(tokens, { clientId: 'plant-7', url: 'mqtt://user:pw@broker' });
    const failed = watch(loop.start());
    await clock.settle();
    expect(tokens.requests).toMatchObject([
      { clientId: 'plant-7', server: 'mqtt://broker:1883', epochMs: Date.UTC(2030, 0, 1) },
    ]);
    await clock.advance(10_000);
    expect(failed.error).toBeInstanceOf(MqttConnectTimeoutError);
    expect(tokens.requests[0]!.signal.aborted).toBe(true);
    expect(broker.connections).toHaveLength(0);
  });

  test('that throws, hangs and returns garbage is asked again with backoff under "always"', async () => {
    const tokens = issuer();
    const rejected = new Error('no token today');
    tokens.next.push(
      () => Promise.reject(rejected),
      () => new Promise(() => {}),
      () => 5 as never,
    );
    const reconnect = { policy: 'always', minDelayMs: 1_000, jitter: 'none' } as const;
    const { loop, clock, broker, disconnected } = renewing(tokens, { reconnect, connectTimeoutMs: 5_000 });
    await loop.start();
    await clock.advance(1_000 + 5_000 + 2_000);
    expect(disconnected.map(({ cause, willRetryInMs }) => [cause.code, willRetryInMs])).toEqual([
      ['MQTT_CREDENTIALS', 1_000],
      ['MQTT_CONNECT_TIMEOUT', 2_000],
      ['MQTT_CREDENTIALS', 4_000],
    ]);
    expect(disconnected[0]!.cause.cause).toBe(rejected);
    await clock.advance(4_000);
    expect(passwordOf(await broker.acceptConnected())).toBe('token-4');
  });

  test('credentials as a value cannot expire: the error asks for a function', () => {
    const credentials = { username: 'device', password: 'hunter2', expiresAt: Date.now() };
    expect(() => new EventLoop({ credentials })).toThrow(MqttOptionsError);
    expect(() => new EventLoop({ credentials })).toThrow('credentials.expiresAt');
    for (const renewBeforeSeconds of [0, -1, Infinity, '60'])
      expect(() => new EventLoop({ renewBeforeSeconds: renewBeforeSeconds as never })).toThrow('renewBeforeSeconds');
  });
});
