import { inspect } from 'node:util';
import { EventLoop, MqttOptionsError } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { resolveOptions } from '../../../lib/eventloop/resolve-options.js';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

const SECRET = 'hunter2';

function everythingSaid(error: unknown): string {
  const { message, stack } = error as Error;
  return [
    message,
    stack,
    inspect(error, { depth: Infinity, showHidden: true }),
    JSON.stringify(error),
    String(error),
  ].join('\n');
}

/** What people put where it does not belong. */
test.each<[string, unknown]>([
  ['a URL of another scheme', { url: `amqps://user:${SECRET}@host` }],
  ['a URL without a scheme', { url: `user:${SECRET}@host:1883` }],
  ['a URL without its slashes', { url: `mqtt:user:${SECRET}@host` }],
  ['a URL with one slash', { url: `mqtt:/user:${SECRET}@host` }],
  ['a URL that cannot be read', { url: `mqtt://user:${SECRET}@host:99999` }],
  ['a URL with a line break', { url: `mqtt://user:a\n${SECRET}@host:99999` }],
  ['a URL with a path', { url: `mqtt://user:${SECRET}@host/path` }],
  ['a URL with @ in its path', { url: `mqtt://user:${SECRET}@host/p@th` }],
  ['a URL with the password in its query', { url: `mqtt://host?password=${SECRET}` }],
  ['a URL with the token in its fragment', { url: `mqtt://host#${SECRET}` }],
  ['a URL with broken percent-encoding', { url: `mqtt://user:%ZZ${SECRET}@host` }],
  ['a URL in a list', { url: ['mqtt://good', `http://user:${SECRET}@host`] }],
  ['a URL object', { url: new URL(`mqtt://user:${SECRET}@host`) }],
  ['a list in a list', { url: [[`mqtt://user:${SECRET}@host`]] }],
  ['an object for a URL', { url: { host: 'h', password: SECRET } }],
  ['the URL in place of the options', `mqtt://user:${SECRET}@host`],
  ["another client's option", { username: 'user', password: SECRET }],
  ['a token under a name of its own', { token: SECRET, reconnect: { secret: SECRET }, will: { key: SECRET } }],
  ['credentials as text', { credentials: `user:${SECRET}` }],
  ['credentials of a wrong type', { credentials: { username: 5, password: SECRET } }],
  ['a password that cannot be sent', { credentials: { username: 'user', password: `${SECRET}\0` } }],
])('%s: the error does not repeat it', (_what, options) => {
  let error: unknown;
  try {
    void new EventLoop(options as never);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(MqttOptionsError);
  expect(everythingSaid(error)).not.toContain(SECRET);
});

test('the error still tells which URL it was', () => {
  for (const [url, told] of [
    [`amqps://user:${SECRET}@host:8883`, 'host:8883'],
    [`mqtt://user:${SECRET}@host/path`, 'host/path'],
    ['localhost:1883', 'localhost:1883'],
  ] as const) {
    expect(() => resolveOptions({ url })).toThrow(told);
  }
});

test('resolved options and the loop show no credentials', async () => {
  const options = {
    url: `mqtt://user:${SECRET}@host`,
    credentials: { username: 'user', password: SECRET },
  };
  const resolved = resolveOptions(options);
  expect(resolved.servers[0]!.credentials?.password).toBe(SECRET);
  expect(resolved.credentials).toMatchObject({ password: SECRET });
  const { loop, connect } = scriptedLoop(options);
  const connection = await connect();
  expect(connection.connectPacket?.password?.toString()).toBe(SECRET);
  for (const value of [resolved, loop, loop.stats(), loop.negotiated]) {
    expect(inspect(value, { depth: Infinity })).not.toContain(SECRET);
    expect(JSON.stringify(value)).not.toContain(SECRET);
  }
});

test('a refused connection does not repeat the credentials, nor does one that is lost', async () => {
  const { loop, broker, disconnected } = scriptedLoop({ url: `mqtt://user:${SECRET}@host` });
  const refused = loop.start().catch((error: unknown) => error);
  await broker.acceptConnected({ reasonCode: 0x86 });
  expect(everythingSaid(await refused)).not.toContain(SECRET);
  broker.refuseNext();
  const failed: unknown = await loop.start().catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
  expect(disconnected).toHaveLength(2);
  for (const { cause } of disconnected) expect(everythingSaid(cause)).not.toContain(SECRET);
});

test('a provider that fails or returns something else: what it returned is not repeated', async () => {
  for (const provider of [
    () => `user:${SECRET}` as never,
    () => ({ username: SECRET, password: 5 }) as never,
    () => ({ password: `${SECRET}\0` }),
  ]) {
    const { loop } = scriptedLoop({ credentials: provider });
    const error: unknown = await loop.start().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'MQTT_CREDENTIALS' });
    expect(everythingSaid(error)).not.toContain(SECRET);
  }
});
