import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { EventLoop, type EventLoopOptions, type TlsFailure } from 'nestjs-rumqtt/eventloop';
import { VirtualClock } from 'nestjs-rumqtt/testing';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';
import { makeLoop, nextConnection } from '../../fixtures/connected.js';
import { tlsServer, type TlsServer } from '../../fixtures/tls-server.js';
import { watch } from '../../fixtures/watch.js';

let authority: CertificateAuthority;
let certificate: Certificate;

beforeAll(() => {
  authority = new CertificateAuthority();
  certificate = authority.issue('broker');
});

afterAll(() => authority[Symbol.dispose]());

function secure({ port }: { readonly port: number }, tls: EventLoopOptions['tls'] = {}): EventLoopOptions {
  return { url: `mqtts://localhost:${port}`, tls: { ca: authority.ca, ...tls } };
}

async function failure(options: EventLoopOptions): Promise<unknown> {
  return makeLoop({ ...options, reconnect: { policy: 'never' } })
    .start()
    .catch((reason: unknown) => reason);
}

/** Accepts connections and says nothing, unless it is told to. */
async function silentServer(
  greet = (_socket: Socket): void => undefined,
): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined).resume());
    greet(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { port: (server.address() as AddressInfo).port, sockets };
}

test('the name is sent as SNI, an address is not', async () => {
  const names: string[] = [];
  const server = await tlsServer({
    ...certificate,
    SNICallback: (name, callback) => {
      names.push(name);
      callback(null);
    },
  });
  await makeLoop({ url: `mqtts://127.0.0.1:${server.port}`, tls: { ca: authority.ca } }).start();
  await makeLoop(secure(server)).start();
  expect(names).toEqual(['localhost']);
});

test('ALPN: the server is offered the protocols, and one that takes none of them is named as such', async () => {
  const server = await tlsServer({ ...certificate, ALPNProtocols: ['mqtt'] });
  await makeLoop(secure(server, { alpnProtocols: ['x-amzn-mqtt-ca', 'mqtt'] })).start();
  expect(server.clients[0]!.alpnProtocol).toBe('mqtt');
  expect(await failure(secure(server, { alpnProtocols: ['x-amzn-mqtt-ca'] }))).toMatchObject({
    code: 'MQTT_TLS',
    reason: 'alpn',
  });
});

test('a server that takes only older or newer versions is named as such', async () => {
  const server = await tlsServer({ ...certificate, maxVersion: 'TLSv1.2' });
  expect(await failure(secure(server, { minVersion: 'TLSv1.3' }))).toMatchObject({ reason: 'protocol-version' });
});

/** Whether each connection of a loop resumed the session of an earlier one. */
async function resumptions(server: TlsServer, options: EventLoopOptions, between: () => void): Promise<boolean[]> {
  const loop = makeLoop(options);
  await loop.start();
  // The session ticket comes in a record of its own, before this.
  await loop.publish('a', 'x', { qos: 1 });
  between();
  const again = nextConnection(loop);
  server.clients.at(-1)!.socket.destroy();
  await again;
  await loop.publish('a', 'x', { qos: 1 });
  return server.clients.map(({ isResumed }) => isResumed);
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)('the next connection resumes the session, %s', async (maxVersion) => {
  const server = await tlsServer({ ...certificate, maxVersion });
  expect(await resumptions(server, secure(server), () => undefined)).toEqual([false, true]);
});

test('files that have not changed do not hinder it, a renewed certificate is not passed over', async () => {
  const [certFile, keyFile] = [join(authority.directory, 'live.crt'), join(authority.directory, 'live.key')];
  const install = (from: Certificate): void => {
    copyFileSync(from.certFile, certFile);
    copyFileSync(from.keyFile, keyFile);
  };
  install(authority.issue('first'));
  const strict = { ...certificate, ca: authority.ca, requestCert: true };
  const unchanged = await tlsServer(strict);
  expect(await resumptions(unchanged, secure(unchanged, { certFile, keyFile }), () => undefined)).toEqual([
    false,
    true,
  ]);
  const changed = await tlsServer(strict);
  const renew = (): void => install(authority.issue('second'));
  expect(await resumptions(changed, secure(changed, { certFile, keyFile }), renew)).toEqual([false, false]);
  expect(changed.clients[1]!.name).toBe('second');
});

test('reconnect({ tls }) goes on with the new certificates at once', async () => {
  const server = await tlsServer({ ...certificate, ca: authority.ca, requestCert: true });
  const [first, second] = [authority.issue('first'), authority.issue('second')];
  const loop = makeLoop(secure(server, { cert: first.cert, key: first.key }));
  await loop.start();
  await loop.reconnect({ tls: { ca: authority.ca, cert: second.cert, key: second.key } });
  expect(server.clients.map(({ name }) => name)).toEqual(['first', 'second']);
});

test('a handshake that stays half finished ends at the connect deadline, which names the step', async () => {
  const clock = new VirtualClock();
  const server = await silentServer();
  const loop = new EventLoop({ ...secure(server), connectTimeoutMs: 5_000 }, { clock });
  const started = watch(loop.start());
  // The ClientHello has come: the handshake is under way.
  while (server.sockets[0]?.bytesRead === undefined || server.sockets[0].bytesRead === 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  await clock.advance(4_999);
  expect(started.state).toBe('pending');
  const closed = once(server.sockets[0], 'close');
  await clock.advance(1);
  expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'doing the TLS handshake' });
  await closed;
  await loop.shutdown();
  expect(clock.pendingTimers).toBe(0);
});

const answers: readonly [string, (socket: Socket) => unknown, TlsFailure][] = [
  ['closes at once', (socket) => socket.end(), 'closed'],
  ['resets the connection', (socket) => socket.resetAndDestroy(), 'closed'],
  ['answers in plain text', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), 'not-tls'],
  ['sends what does not belong here', (socket) => socket.write(Buffer.from('170303000100', 'hex')), 'handshake'],
];

test.each(answers)('a server that %s during the handshake', async (_what, answer, reason) => {
  const server = await silentServer((socket) => void socket.once('data', () => answer(socket)));
  expect(await failure(secure(server))).toMatchObject({ code: 'MQTT_TLS', reason });
});

test('a TLS server on the port without, which answers with an alert, is told from a broken broker', async () => {
  const alert = Buffer.from('15030300020246', 'hex');
  const { port } = await silentServer((socket) => void socket.once('data', () => socket.write(alert)));
  expect(await failure({ url: `mqtt://localhost:${port}` })).toMatchObject({
    code: 'MQTT_TLS',
    reason: 'tls-expected',
    message: expect.stringContaining('mqtts:') as string,
  });
});

test('a server that closes without a word after the handshake: the error has the client certificate in mind', async () => {
  const server = await tlsServer({ ...certificate, ca: authority.ca, requestCert: true, rejectUnauthorized: true });
  const unknown = authority.selfSigned('unknown');
  expect(await failure(secure(server, { cert: unknown.cert, key: unknown.key }))).toMatchObject({
    code: 'MQTT_CONNECT_FAILED',
    message: expect.stringContaining('client certificate') as string,
  });
});

test('TLS works on any Duplex, and takes it along when it ends', async () => {
  const server = await tlsServer(certificate);
  const below: Duplex[] = [];
  const loop = makeLoop({
    ...secure(server),
    connect: () => {
      const { readable, writable } = Duplex.toWeb(connect(server.port, '127.0.0.1'));
      const stream = Duplex.fromWeb({ readable, writable });
      below.push(stream);
      return stream;
    },
  });
  await loop.start();
  await loop.publish('a', Buffer.alloc(200_000), { qos: 2 });
  const closed = once(below[0]!, 'close');
  await loop.shutdown();
  await closed;
  expect(below[0]!.destroyed).toBe(true);
});
