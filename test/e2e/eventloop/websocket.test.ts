import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { ScriptedBroker, VirtualClock } from 'nestjs-rumqtt/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createWebSocketStream, type WebSocket } from 'ws';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';
import { Inbox, makeLoop, nextConnection, nextFailure } from '../../fixtures/connected.js';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { watch } from '../../fixtures/watch.js';
import { webSocketServer, type WebSocketServer, type WebSocketServerOptions } from '../../fixtures/websocket-server.js';

const CONNACK = Buffer.from('20020000', 'hex');
const CANARY = 'canary-7f3a';

/** A broker that accepts everything, and checks every byte. */
async function broker(
  options?: WebSocketServerOptions,
): Promise<WebSocketServer & { readonly scripted: ScriptedBroker }> {
  const scripted = new ScriptedBroker();
  scripted.serve();
  const server = await webSocketServer((socket) => scripted.attach(createWebSocketStream(socket)), options);
  onTestFinished(async () => {
    await scripted.close();
    scripted.assertClean();
  });
  return { ...server, scripted };
}

/** Answers CONNECT, then does what the test says. */
function raw(act: (socket: WebSocket) => void): Promise<WebSocketServer> {
  return webSocketServer((socket) => {
    socket.once('message', () => {
      socket.send(CONNACK);
      act(socket);
    });
  });
}

function urlOf({ port }: { readonly port: number }, path = '/mqtt'): string {
  return `ws://127.0.0.1:${port}${path}`;
}

async function failure(options: EventLoopOptions): Promise<Error & Record<string, unknown>> {
  return makeLoop({ ...options, reconnect: { policy: 'never' } })
    .start()
    .then(() => new Error('it connected') as never)
    .catch((reason: unknown) => reason as never);
}

describe('the handshake', () => {
  test('asks for the path and query of the url and the subprotocol mqtt, and offers no compression', async () => {
    const server = await broker();
    await makeLoop({ url: urlOf(server, '/deep/mqtt?tenant=7') }).start();
    const [{ url, headers }] = server.requests as [WebSocketServer['requests'][number]];
    expect(url).toBe('/deep/mqtt?tenant=7');
    expect(headers).toMatchObject({ host: `127.0.0.1:${server.port}`, 'sec-websocket-protocol': 'mqtt' });
    expect(headers['sec-websocket-extensions']).toBeUndefined();
    expect(server.sockets[0]!.extensions).toBe('');
  });

  test('user information in the url is for MQTT and not for HTTP', async () => {
    const server = await broker();
    await makeLoop({ url: `ws://anna:s3cret@127.0.0.1:${server.port}/mqtt` }).start();
    expect(server.scripted.connections[0]!.connectPacket).toMatchObject({ username: 'anna' });
    expect(server.requests[0]!.headers.authorization).toBeUndefined();
  });

  test('headers given once are sent with every attempt', async () => {
    const server = await broker();
    const loop = makeLoop({
      url: urlOf(server),
      webSocket: { headers: { Authorization: 'Bearer x', 'X-Tenant': '7' } },
    });
    await loop.start();
    await loop.reconnect();
    for (const { headers } of server.requests)
      expect(headers).toMatchObject({ authorization: 'Bearer x', 'x-tenant': '7' });
    expect(server.requests).toHaveLength(2);
  });

  test('functions are asked before every attempt, for the target without its query', async () => {
    const server = await broker();
    let attempts = 0;
    const targets: unknown[] = [];
    const loop = makeLoop({
      url: urlOf(server, '/mqtt?a=b'),
      webSocket: {
        headers: async (target) => {
          targets.push(target);
          return Promise.resolve({ 'X-Attempt': `${++attempts}` });
        },
        url: ({ scheme, ...target }) =>
          new URL(`${scheme}://127.0.0.1:${server.port}${'path' in target ? target.path : ''}?signature=${attempts}`),
      },
    });
    await loop.start();
    await loop.reconnect();
    expect(server.requests.map(({ url, headers }) => `${url} ${String(headers['x-attempt'])}`)).toEqual([
      '/mqtt?signature=0 1',
      '/mqtt?signature=1 2',
    ]);
    expect(targets[0]).toEqual({ scheme: 'ws', host: '127.0.0.1', port: server.port, path: '/mqtt' });
  });

  test.each([
    [401, /webSocket\.headers/],
    [403, /signature/],
    [404, /path/],
    [302, /redirections are not followed/],
    [500, /500/],
  ])('status %i fails the attempt, with the status and the cure', async (status, cure) => {
    const server = await broker({ refuse: () => status });
    const error = await failure({ url: urlOf(server, `/mqtt?token=${CANARY}`) });
    expect(error).toMatchObject({ code: 'MQTT_WEBSOCKET', status, server: urlOf(server) });
    expect(error.message).toMatch(cure);
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('canary');
    expect(server.requests).toHaveLength(1);
  });

  test('connects by itself with a new signature when the old one is refused', async () => {
    const server = await broker({ refuse: ({ url }) => (url!.endsWith('=2') ? undefined : 403) });
    let signature = 0;
    const loop = makeLoop({
      url: urlOf(server),
      webSocket: { url: () => `${urlOf(server)}?s=${signature++}` },
    });
    const connected = nextConnection(loop);
    await loop.start();
    await connected;
    expect(server.requests.map(({ url }) => url)).toEqual(['/mqtt?s=0', '/mqtt?s=1', '/mqtt?s=2']);
  });

  test.each([false, 'amqp'] as const)(
    'a server that chooses %s for the subprotocol is refused',
    async (subprotocol) => {
      const server = await broker({ subprotocol });
      const error = await failure({ url: urlOf(server) });
      expect(error).toMatchObject({
        code: 'MQTT_WEBSOCKET',
        message: expect.stringContaining('subprotocol mqtt') as string,
      });
    },
  );

  test.each<[string, EventLoopOptions['webSocket']]>([
    ['url throws', { url: () => Promise.reject(new Error('no key')) }],
    ['url returns nothing', { url: () => undefined as never }],
    ['url returns no URL', { url: () => CANARY }],
    ['url leads to another host', { url: () => `ws://other.example/mqtt?${CANARY}` }],
    ['url leads to another scheme', { url: ({ scheme }) => `${scheme}s://127.0.0.1/mqtt?${CANARY}` }],
    ['headers throws', { headers: () => Promise.reject(new Error('no key')) }],
    ['headers returns text', { headers: () => CANARY as never }],
    ['headers returns a broken value', { headers: () => ({ 'X-A': `${CANARY}\r\nX-B: 1` }) }],
    ['headers returns a broken name', { headers: () => ({ 'X A': CANARY }) }],
    ['headers returns what is ours', { headers: () => ({ 'Sec-WebSocket-Protocol': CANARY }) }],
    ['headers returns a number', { headers: () => ({ 'X-A': 5 as never }) }],
  ])('a function that is of no use fails the attempt as credentials do: %s', async (_what, webSocket) => {
    const server = await broker();
    const error = await failure({ url: urlOf(server), webSocket });
    expect(error).toMatchObject({ code: 'MQTT_CREDENTIALS', message: expect.stringContaining('webSocket.') as string });
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(CANARY);
    expect(server.requests).toHaveLength(0);
  });
});

/** Takes connections, and answers the first bytes as the test says. */
async function tcpServer(answer: (socket: Socket) => unknown): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.once('data', () => answer(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { port: (server.address() as AddressInfo).port, sockets };
}

const answers: readonly [string, (socket: Socket) => unknown, RegExp][] = [
  ['a server that closes', (socket) => socket.end(), /closed/],
  ['a server that resets', (socket) => socket.resetAndDestroy(), /closed/],
  ['an MQTT server', (socket) => socket.end(CONNACK), /does not speak HTTP/],
  ['endless headers', (socket) => socket.write(`HTTP/1.1 101 OK\r\n${'x: y\r\n'.repeat(50_000)}`), /HTTP/],
  [
    'an answer without a key',
    (socket) => socket.write('HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
    /Sec-WebSocket-Accept/,
  ],
];

test.each(answers)('%s fails the handshake, and nothing stays open', async (_what, answer, says) => {
  const server = await tcpServer(answer);
  const error = await failure({ url: urlOf(server) });
  expect(error).toMatchObject({ code: 'MQTT_WEBSOCKET', message: expect.stringMatching(says) as string });
  const [socket] = server.sockets as [Socket];
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
});

test('a handshake that stays half finished ends at the connect deadline, which names the step', async () => {
  const clock = new VirtualClock();
  let asked = (): void => undefined;
  const request = new Promise<void>((resolve) => (asked = resolve));
  const server = await tcpServer((socket) => {
    socket.write('HTTP/1.1 101 Switching');
    asked();
  });
  const loop = new EventLoop({ url: urlOf(server), connectTimeoutMs: 5_000 }, { clock });
  const started = watch(loop.start());
  await request;
  const closed = once(server.sockets[0]!, 'close');
  await clock.advance(5_000);
  expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'doing the WebSocket handshake' });
  await closed;
  await loop.shutdown();
  expect(clock.pendingTimers).toBe(0);
});

test.each(['url', 'headers'] as const)('a %s function that hangs ends at the connect deadline', async (name) => {
  const clock = new VirtualClock();
  let asked = (_signal: AbortSignal): void => undefined;
  const asking = new Promise<AbortSignal>((resolve) => (asked = resolve));
  const hang = (_target: unknown, signal: AbortSignal): Promise<never> => {
    asked(signal);
    return new Promise(() => undefined);
  };
  const loop = new EventLoop(
    { url: 'ws://127.0.0.1:1', webSocket: { [name]: hang }, connectTimeoutMs: 5_000 },
    { clock },
  );
  const started = watch(loop.start());
  const signal = await asking;
  await clock.advance(5_000);
  expect(started.error).toMatchObject({
    code: 'MQTT_CONNECT_TIMEOUT',
    step: expect.stringContaining('WebSocket') as string,
  });
  expect(signal.aborted).toBe(true);
  await loop.shutdown();
});

describe('frames', () => {
  test('packets may begin and end anywhere in them', async () => {
    const publishes = Buffer.concat(
      ['a', 'b', 'c'].map((letter) => Buffer.from(`30040001${Buffer.from(`t${letter}`).toString('hex')}`, 'hex')),
    );
    const server = await raw((socket) => {
      for (const byte of publishes) socket.send(Buffer.from([byte]));
      socket.send(publishes);
      socket.send(publishes.subarray(0, 7), { fin: false });
      socket.send(publishes.subarray(7), { fin: true });
    });
    const loop = makeLoop({ url: urlOf(server), protocolVersion: 4 });
    const inbox = new Inbox(loop);
    await loop.start();
    const messages = await inbox.until(9);
    expect(messages.map(({ payload }) => payload.toString()).join('')).toBe('abcabcabc');
  });

  test('a text frame ends the connection as a protocol error', async () => {
    const server = await raw((socket) => socket.send('hello'));
    const loop = makeLoop({ url: urlOf(server), protocolVersion: 4 });
    const lost = nextFailure(loop);
    await loop.start();
    expect(await lost).toMatchObject({
      code: 'MQTT_PROTOCOL_ERROR',
      message: expect.stringContaining('text frame') as string,
    });
  });

  test('a frame beyond the bound ends the connection before it is held in memory', async () => {
    const server = await raw((socket) => socket.send(Buffer.alloc(1_024 + 4 * 1_048_576 + 1)));
    const loop = makeLoop({ url: urlOf(server), protocolVersion: 4, maxPacketBytes: 1_024 });
    const lost = nextFailure(loop);
    await loop.start();
    expect(await lost).toMatchObject({ code: 'MQTT_PROTOCOL_ERROR', reasonCode: 0x95 });
    expect(loop.stats().bytesReceived).toBeLessThan(100);
  });

  test('a broken frame ends the connection as a protocol error', async () => {
    const server = await raw((socket) => {
      (socket as unknown as { readonly _socket: Socket })._socket.write(Buffer.from('ff00', 'hex'));
    });
    const loop = makeLoop({ url: urlOf(server), protocolVersion: 4 });
    const lost = nextFailure(loop);
    await loop.start();
    expect(await lost).toMatchObject({ code: 'MQTT_PROTOCOL_ERROR' });
  });

  test('a close frame with a code says why', async () => {
    const server = await raw((socket) => socket.close(1008, 'go away'));
    const loop = makeLoop({ url: urlOf(server), protocolVersion: 4 });
    const lost = nextFailure(loop);
    await loop.start();
    expect(await lost).toMatchObject({
      code: 'MQTT_CONNECTION_LOST',
      message: expect.stringMatching(/1008.*go away/) as string,
    });
  });

  test('what is not read stays with the server', async () => {
    const server = await broker();
    const loop = makeLoop({ url: urlOf(server), incomingCapacity: 10, acknowledge: 'after-handler' });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let handled = 0;
    let finished = (): void => undefined;
    const all = new Promise<void>((resolve) => (finished = resolve));
    loop.onMessage(async () => {
      await released;
      if (++handled === 2_000) finished();
    });
    await loop.start();
    const connection = server.scripted.connections[0]!;
    for (let number = 0; number < 2_000; number++) connection.publish({ topic: 't', payload: Buffer.alloc(16_384) });
    while (!loop.stats().readingPaused) await new Promise((resolve) => setImmediate(resolve));
    // 32 MB are on their way. Whatever could still come has come when nothing does for some turns.
    let last: number;
    do {
      last = loop.stats().bytesReceived;
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    } while (loop.stats().bytesReceived !== last);
    expect(loop.stats()).toMatchObject({ readingPaused: true });
    expect(loop.stats().bytesReceived).toBeLessThan(2 * 1_048_576);
    expect(handled).toBe(0);
    release();
    await all;
    expect(handled).toBe(2_000);
  });
});

describeWithMosquitto('large payloads, with Mosquitto behind a WebSocket server', () => {
  let authority: CertificateAuthority;
  let certificate: Certificate;

  beforeAll(() => {
    authority = new CertificateAuthority();
    certificate = authority.issue('broker');
  });

  afterAll(() => authority[Symbol.dispose]());

  test.each(['ws', 'wss'])('%s: QoS 0, 1 and 2 both ways', async (scheme) => {
    const mosquitto = await Mosquitto.start();
    onTestFinished(() => mosquitto.stop());
    const { port } = await webSocketServer(
      (socket) => {
        const stream = createWebSocketStream(socket).on('error', () => undefined);
        stream.pipe(connect(mosquitto.port, '127.0.0.1').on('error', () => undefined)).pipe(stream);
      },
      scheme === 'wss' ? { tls: certificate } : {},
    );
    const loop = makeLoop({
      url: `${scheme}://localhost:${port}/`,
      ...(scheme === 'wss' && { tls: { ca: authority.ca } }),
      maxPacketBytes: 4 * 1_048_576,
    });
    await loop.start();
    const inbox = new Inbox(loop);
    await loop.subscribe('big', { qos: 2 });
    const payloads = [65_535, 65_536, 1_048_576, 3_000_000].map((bytes) => randomBytes(bytes));
    for (const qos of [0, 1, 2] as const) for (const payload of payloads) await loop.publish('big', payload, { qos });
    const messages = await inbox.until(12);
    expect(messages.map(({ payload }, index) => payload.equals(payloads[index % 4]!))).toEqual(Array(12).fill(true));
    await loop.shutdown();
  });

  test('wss: a client certificate that is missing is told as with mqtts', async () => {
    const { port } = await webSocketServer(() => undefined, {
      tls: { ...certificate, ca: authority.ca, requestCert: true, rejectUnauthorized: true },
    });
    const error = await failure({ url: `wss://localhost:${port}/`, tls: { ca: authority.ca } });
    expect(error).toMatchObject({ code: 'MQTT_TLS', reason: 'client-certificate-required' });
  });
});
