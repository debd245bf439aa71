import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';
import { tlsServer } from '../../fixtures/tls-server.js';
import { webSocketServer } from '../../fixtures/websocket-server.js';

const PASSPHRASE = 'canary-passphrase';
const SIGNATURE = 'canary-signature';
const HEADER = 'canary-header';

let authority: CertificateAuthority;
let client: Certificate;
let server: Certificate;
let encryptedKey: string;

beforeAll(() => {
  authority = new CertificateAuthority();
  client = authority.issue('client');
  server = authority.issue('server');
  encryptedKey = createPrivateKey(client.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE })
    .toString();
});

afterAll(() => authority[Symbol.dispose]());

/** Every secret that these tests plant, the keys by their first line. */
function secrets(): readonly string[] {
  return [PASSPHRASE, SIGNATURE, HEADER, encryptedKey.split('\n')[1]!, client.key.split('\n')[1]!];
}

/** The code of the error that a loop fails with, after a look at all that was said about it. */
async function failsQuietly(options: EventLoopOptions): Promise<unknown> {
  const loop = new EventLoop({ connectTimeoutMs: 2_000, reconnect: { policy: 'never' }, ...options });
  const said: unknown[] = [];
  for (const event of ['disconnected', 'reconnecting', 'closed'] as const) loop.on(event, (value) => said.push(value));
  const error: unknown = await loop.start().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  said.push(error, loop.stats(), loop.negotiated);
  const texts = [
    ...said.map((value) => inspect(value, { depth: Infinity, showHidden: true, maxStringLength: Infinity })),
    JSON.stringify(said),
    inspect(loop, { depth: Infinity }),
  ];
  for (let cause = error; cause instanceof Error; cause = cause.cause) texts.push(String(cause), cause.stack ?? '');
  for (const text of texts) for (const secret of secrets()) expect(text).not.toContain(secret);
  await loop.shutdown({ drainTimeoutMs: 0 });
  return (error as { readonly code?: string } | undefined)?.code;
}

function clientTls(): NonNullable<EventLoopOptions['tls']> {
  return { ca: authority.ca, cert: client.cert, key: encryptedKey, passphrase: PASSPHRASE };
}

const webSocket = {
  headers: () => ({ Authorization: HEADER }),
  url: ({ scheme, ...target }: { readonly scheme: string; readonly port?: number }) =>
    `${scheme}://127.0.0.1:${target.port}/mqtt?X-Amz-Signature=${SIGNATURE}`,
};

test('keys and passphrases: a server whose certificate fails, and one that rejects ours', async () => {
  const expired = await tlsServer(authority.issue('old', { validFromDays: -9, validToDays: -2 }));
  expect(await failsQuietly({ url: `mqtts://127.0.0.1:${expired.port}`, tls: clientTls() })).toBe('MQTT_TLS');
  using stranger = new CertificateAuthority('Stranger');
  const strict = await tlsServer({ ...server, ca: stranger.ca, requestCert: true, rejectUnauthorized: true });
  // Node's server closes without an alert.
  expect(await failsQuietly({ url: `mqtts://127.0.0.1:${strict.port}`, tls: clientTls() })).toBe('MQTT_CONNECT_FAILED');
});

test('keys and passphrases: files that break while the loop runs', async () => {
  const { port } = await tlsServer(server);
  const keyFile = join(authority.directory, 'live.key');
  for (const content of [`${PASSPHRASE} is no key`, encryptedKey.replace('A', 'B'), client.cert + client.key]) {
    writeFileSync(keyFile, encryptedKey);
    const { key: _key, ...tls } = clientTls();
    const options = { url: `mqtts://127.0.0.1:${port}`, tls: { ...tls, keyFile } };
    const loop = new EventLoop(options);
    writeFileSync(keyFile, content);
    const error: unknown = await loop.start().catch((reason: unknown) => reason);
    await loop.shutdown({ drainTimeoutMs: 0 });
    const said = inspect(error, { depth: Infinity, showHidden: true });
    for (const secret of secrets()) expect(said).not.toContain(secret);
    if (content.includes('PRIVATE KEY') && content.startsWith(client.cert)) expect(error).toBeUndefined();
    else expect(error).toMatchObject({ code: 'MQTT_TLS', reason: 'unusable-files' });
  }
  copyFileSync(client.keyFile, keyFile);
});

test('signed queries and headers: refusals, closed connections, silence', async () => {
  for (const status of [302, 401, 403, 404, 500]) {
    const { port } = await webSocketServer(() => undefined, { refuse: () => status });
    const options = { url: `ws://127.0.0.1:${port}/mqtt?token=${SIGNATURE}`, webSocket };
    expect(await failsQuietly(options)).toBe('MQTT_WEBSOCKET');
    expect(await failsQuietly({ ...options, webSocket: { headers: { Authorization: HEADER } } })).toBe(
      'MQTT_WEBSOCKET',
    );
  }
  const closing = createServer((socket) => socket.on('error', () => undefined).once('data', () => socket.destroy()));
  await once(closing.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => new Promise<void>((resolve) => closing.close(() => resolve())));
  const { port } = closing.address() as AddressInfo;
  expect(await failsQuietly({ url: `ws://127.0.0.1:${port}/`, webSocket })).toBe('MQTT_WEBSOCKET');
  expect(await failsQuietly({ url: `wss://127.0.0.1:${port}/`, webSocket, tls: clientTls() })).toBe('MQTT_TLS');
  const silent = await webSocketServer(() => undefined);
  const timeout = { url: `ws://127.0.0.1:${silent.port}/`, webSocket, connectTimeoutMs: 300 };
  expect(await failsQuietly(timeout)).toBe('MQTT_CONNECT_TIMEOUT');
  expect(silent.requests[0]!.url).toContain(SIGNATURE);
});

test('signed queries and headers: functions that return something of no use', async () => {
  for (const broken of [
    { url: () => `wss://elsewhere/?${SIGNATURE}` },
    { url: () => SIGNATURE },
    { headers: () => ({ Authorization: `${HEADER}\r\n` }) },
    { headers: () => HEADER as never },
  ])
    expect(await failsQuietly({ url: 'ws://127.0.0.1:1', webSocket: broken })).toBe('MQTT_CREDENTIALS');
});
