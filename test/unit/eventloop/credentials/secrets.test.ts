import { createSecretKey } from 'node:crypto';
import { inspect } from 'node:util';
import {
  EventLoop,
  jwt,
  MqttCredentialsError,
  tokenAuthentication,
  type CredentialsProvider,
  type EventLoopEvents,
  type EventLoopOptions,
} from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../../fixtures/scripted-loop.js';

/** Planted wherever a secret can stand; long enough for a secret of HS256. */
const CANARY = 'canary-7f3a9c51e2b84d06-canary-7f3a9c51e2b84d06';
const LIFETIME_MS = 1_000_000;
const RENEWS_AFTER_MS = 850_000;
const EVENTS = [
  'connected',
  'disconnected',
  'reconnecting',
  'paused',
  'credentials-renewed',
  'credentials-renewal-failed',
  'closed',
] as const satisfies readonly (keyof EventLoopEvents)[];

/** Everything that a careless application could print of a value; not what it digs for in `error.cause`. */
function printed(value: unknown): string {
  const { message, stack } = (value ?? {}) as Partial<Error>;
  const shown = inspect(value, { depth: Infinity, showHidden: true, getters: true });
  return [shown, message, stack, String(value), JSON.stringify(value)].join('\n');
}

/** Records what the loop says, and how it looks, until the test has driven it through its failures. */
function watched(options: EventLoopOptions): ScriptedLoop & { readonly said: string[]; readonly renewals: string[] } {
  const scripted = scriptedLoop({
    keepAliveSeconds: 0,
    reconnect: { policy: 'always', jitter: 'none' },
    will: { topic: 'will', payload: CANARY },
    ...options,
  });
  const said: string[] = [];
  const renewals: string[] = [];
  for (const event of EVENTS) {
    scripted.loop.on(event, (payload) => {
      said.push(`${event} ${printed(payload)}`, printed(scripted.loop), printed(scripted.loop.stats()));
      if (event.startsWith('credentials')) renewals.push(event);
    });
  }
  return { ...scripted, said, renewals };
}

function expectNoCanary(said: readonly string[]): void {
  expect(said.length).toBeGreaterThan(0);
  for (const line of said) for (const part of ['canary', '7f3a9c51e2b84d06']) expect(line).not.toContain(part);
}

/** Answers the first call, fails the second one in its own way. */
function failingAtRenewal(fail: CredentialsProvider): CredentialsProvider {
  let calls = 0;
  return (request) => {
    if (++calls === 2) return fail(request);
    return { username: 'device', password: CANARY, expiresAt: request.epochMs + LIFETIME_MS };
  };
}

const FAILURES: readonly [string, CredentialsProvider][] = [
  [
    'throws an error that quotes it',
    () => {
      throw Object.assign(new Error(`401 for ${CANARY}`), { config: { headers: { authorization: CANARY } } });
    },
  ],
  ['rejects with an error that quotes it', () => Promise.reject(new TypeError(CANARY))],
  [
    'throws the secret itself',
    () => {
      throw CANARY;
    },
  ],
  ['throws an object with it', () => Promise.reject({ token: CANARY })],
  ['returns it as text', () => CANARY as never],
  ['returns it in a password that cannot be sent', () => ({ password: `${CANARY}\0` })],
  ['returns it where the user name is wrong', () => ({ username: 5 as never, password: CANARY })],
  ['returns it with a wrong expiry', () => ({ password: CANARY, expiresAt: CANARY as never })],
  ['returns it expired', ({ epochMs }) => ({ password: CANARY, expiresAt: epochMs - 1 })],
  ['returns it with the same expiry', ({ epochMs }) => ({ password: CANARY, expiresAt: epochMs + 1 })],
  ['never returns', () => new Promise(() => {})],
];

test.each(FAILURES)('a provider that %s before the first connection', async (_name, provider) => {
  const { loop, clock, said } = watched({ credentials: provider });
  const started = loop.start();
  await clock.advance(10_000);
  await started;
  await loop.pause();
  expectNoCanary(said);
});

test.each(FAILURES)('a provider that %s when it is time to renew', async (_name, provider) => {
  const { loop, clock, connect, said, renewals } = watched({ credentials: failingAtRenewal(provider) });
  const connection = await connect();
  expect(connection.connectPacket?.password?.toString()).toBe(CANARY);
  await clock.advance(RENEWS_AFTER_MS + 10_000);
  expect(renewals[0]).toBe('credentials-renewal-failed');
  await loop.pause();
  expectNoCanary(said);
});

test.each(FAILURES)('a token service of an authentication that %s', async (_name, provider) => {
  const authentication = tokenAuthentication('TOKEN', failingAtRenewal(provider));
  const { loop, clock, connect, said, renewals } = watched({ authentication });
  const connection = await connect({ properties: { authenticationMethod: 'TOKEN' } });
  expect(connection.connectPacket?.properties?.authenticationData?.toString()).toBe(CANARY);
  await clock.advance(RENEWS_AFTER_MS + 10_000);
  if (renewals[0] === undefined) await connection.next('auth');
  await loop.pause();
  expectNoCanary([...said, printed(authentication)]);
});

test.each<[string, EventLoopOptions]>([
  ['static credentials', { credentials: { username: CANARY, password: CANARY } }],
  ['static credentials in bytes', { credentials: { username: 'device', password: Buffer.from(CANARY) } }],
  ['user information of a URL', { url: `mqtt://${CANARY}:${CANARY}@broker` }],
  [
    'a secret that signs tokens',
    { credentials: jwt({ key: createSecretKey(Buffer.from(CANARY)), algorithm: 'HS256', expiresInSeconds: 1_000 }) },
  ],
])('%s, through a refusal, a loss, a disconnect by the server and the end', async (_name, options) => {
  const { loop, broker, clock, said } = watched(options);
  const refused = loop.start();
  await broker.acceptConnected({ reasonCode: 0x86 });
  await refused;
  await clock.advance(1_000);
  const connected = await broker.acceptConnected();
  const token = connected.connectPacket!.password!.toString();
  expect(token.length).toBeGreaterThan(0);
  await clock.settle();
  connected.cut();
  await clock.advance(2_000);
  const again = await broker.acceptConnected();
  await clock.settle();
  again.disconnect({ reasonCode: 0x87 });
  await clock.advance(4_000);
  broker.refuseNext();
  await clock.advance(120_000);
  const closing = loop.shutdown({ drainTimeoutMs: 0 });
  await clock.advance(2_000);
  await closing;
  expectNoCanary(said);
  if (!token.startsWith('canary')) for (const line of said) expect(line).not.toContain(token);
});

test('a signer whose error quotes the token that it was to sign', async () => {
  let input = '';
  const credentials = jwt({
    key: (bytes) => {
      input = Buffer.from(bytes).toString();
      throw new Error(`${CANARY} ${input}`);
    },
    algorithm: 'EdDSA',
    expiresInSeconds: 60,
    claims: { canary: CANARY },
  });
  const { loop, said } = watched({ credentials });
  await loop.start();
  await loop.pause();
  expect(input).not.toBe('');
  expectNoCanary(said);
  for (const line of said) expect(line).not.toContain(input);
});

test("the provider's own error is there for who asks for it", async () => {
  const own = new Error(CANARY);
  const { loop } = scriptedLoop({ credentials: () => Promise.reject(own) });
  const error: unknown = await loop.start().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(MqttCredentialsError);
  expect((error as Error).cause).toBe(own);
  expect(printed(error)).toContain('cause: Error (not shown, as it may quote a secret)');
  expect(printed(new Error('outer', { cause: error }))).not.toContain(CANARY);
});

test('a loop that was given secrets shows none before it has started', () => {
  const loop = new EventLoop({ url: `mqtt://user:${CANARY}@broker`, credentials: { username: 'u', password: CANARY } });
  expectNoCanary([printed(loop)]);
});
