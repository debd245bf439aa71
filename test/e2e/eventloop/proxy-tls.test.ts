import { connect } from 'node:net';
import {
  EventLoop,
  MqttProxyError,
  MqttTlsError,
  type EventLoopOptions,
  type MqttError,
} from 'nestjs-rumqtt/eventloop';
import { ScriptedBroker, VirtualClock } from 'nestjs-rumqtt/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createWebSocketStream } from 'ws';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';
import { makeLoop } from '../../fixtures/connected.js';
import { ScriptedProxy, type ProxyAnswer } from '../../fixtures/scripted-proxy.js';
import { tlsServer } from '../../fixtures/tls-server.js';
import { webSocketServer } from '../../fixtures/websocket-server.js';
import { watch } from '../../fixtures/watch.js';

let authority: CertificateAuthority;
let other: CertificateAuthority;
let certificate: Certificate;

beforeAll(() => {
  authority = new CertificateAuthority('Authority of the broker');
  other = new CertificateAuthority('Authority of the proxy');
  certificate = authority.issue('broker');
});

afterAll(() => {
  authority[Symbol.dispose]();
  other[Symbol.dispose]();
});

/** What a proxy does. */
const relays: ProxyAnswer = (socket, { authority: target }) => {
  const onward = connect(Number(target.split(':').at(-1)), '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(onward).pipe(socket);
  });
  onward.on('error', () => socket.destroy()).on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
};

async function startProxy(
  answer: ProxyAnswer,
  tls?: Parameters<typeof ScriptedProxy.start>[1],
): Promise<ScriptedProxy> {
  const proxy = await ScriptedProxy.start(answer, tls);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  return proxy;
}

const failure = async (options: EventLoopOptions): Promise<MqttError> => {
  const loop = makeLoop({ ...options, reconnect: { policy: 'never' } });
  return loop.start().then(
    () => expect.unreachable('the loop started'),
    (error: unknown) => error as MqttError,
  );
};

describe('mqtts:', () => {
  test.each(['http', 'https'])(
    'through an %s: proxy: TLS goes to the broker itself, and resumes its sessions',
    async (scheme) => {
      const { port, clients } = await tlsServer(certificate);
      const proxy = await startProxy(relays, scheme === 'https' ? other.issue('proxy') : undefined);
      expect(proxy.url).toContain(`${scheme}://`);
      const loop = makeLoop({
        url: `mqtts://localhost:${port}`,
        tls: { ca: authority.ca },
        proxy: { url: proxy.url, ...(scheme === 'https' ? { tls: { ca: other.ca } } : {}) },
      });
      await loop.start();
      await loop.publish('a', Buffer.alloc(100_000), { qos: 2 });
      proxy.cut();
      await loop.publish('a', 'x', { qos: 1 });
      expect(proxy.requests.map(({ authority: target }) => target)).toEqual([`localhost:${port}`, `localhost:${port}`]);
      expect(clients.map(({ isResumed }) => isResumed)).toEqual([false, true]);
    },
  );

  test('through a proxy: a broker whose certificate is not trusted is that, and no fault of the proxy', async () => {
    const { port } = await tlsServer(certificate);
    const proxy = await startProxy(relays);
    const error = await failure({ url: `mqtts://localhost:${port}`, tls: { ca: other.ca }, proxy: { url: proxy.url } });
    expect(error).toBeInstanceOf(MqttTlsError);
    expect(error).toMatchObject({ reason: 'unknown-ca', server: `mqtts://localhost:${port}` });
    await proxy.abandoned();
  });

  test('a tunnel that dies under TLS is a lost connection like any other; nothing published is lost', async () => {
    const { port } = await tlsServer(certificate);
    const proxy = await startProxy(relays, certificate);
    const loop = makeLoop({
      url: `mqtts://localhost:${port}`,
      tls: { ca: authority.ca },
      proxy: { url: proxy.url, tls: { ca: authority.ca } },
    });
    await loop.start();
    for (let round = 0; round < 3; round++) {
      const published = Promise.all(Array.from({ length: 50 }, () => loop.publish('a', 'x', { qos: 1 })));
      proxy.cut();
      expect(await published).toHaveLength(50);
    }
    expect(loop.stats().connections).toBeGreaterThan(1);
  });
});

describe('WebSocket', () => {
  test.each([
    ['ws', 'http'],
    ['ws', 'https'],
    ['wss', 'http'],
    ['wss', 'https'],
  ])('%s: through an %s: proxy', async (scheme, proxyScheme) => {
    const broker = new ScriptedBroker();
    broker.serve();
    onTestFinished(() => broker.close());
    const { port } = await webSocketServer(
      (socket) => broker.attach(createWebSocketStream(socket)),
      scheme === 'wss' ? { tls: certificate } : {},
    );
    const proxy = await startProxy(relays, proxyScheme === 'https' ? other.issue('proxy') : undefined);
    const loop = makeLoop({
      url: `${scheme}://localhost:${port}/mqtt`,
      ...(scheme === 'wss' ? { tls: { ca: authority.ca } } : {}),
      proxy: { url: proxy.url, ...(proxyScheme === 'https' ? { tls: { ca: other.ca } } : {}) },
    });
    await loop.start();
    await loop.publish('a', Buffer.alloc(100_000), { qos: 2 });
    expect(proxy.requests.map(({ authority: target }) => target)).toEqual([`localhost:${port}`]);
    broker.assertClean();
  });
});

describe('an https: proxy', () => {
  const url = 'mqtt://broker.example';

  test('gets the client certificate of proxy.tls', async () => {
    const proxy = await startProxy(relays, {
      ...certificate,
      ca: other.ca,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const { port } = await tlsServer(certificate);
    const { cert, key } = other.issue('plant');
    const loop = makeLoop({
      url: `mqtts://localhost:${port}`,
      tls: { ca: authority.ca },
      proxy: { url: proxy.url, tls: { ca: authority.ca, cert, key } },
    });
    await loop.start();
    expect(proxy.requests).toHaveLength(1);
  });

  test('that is not trusted gets to hear no password', async () => {
    const proxy = await startProxy(relays, other.issue('proxy'));
    const error = await failure({
      url,
      proxy: { url: proxy.url.replace('//', '//plant:canary@'), tls: { ca: authority.ca } },
    });
    expect(error).toBeInstanceOf(MqttProxyError);
    expect(error).toMatchObject({
      problem: 'tls',
      proxy: proxy.url,
      cause: { code: 'MQTT_TLS', reason: 'unknown-ca', server: proxy.url },
    });
    expect(error.message).toContain('proxy.tls.ca');
    expect(proxy.requests).toEqual([]);
    await proxy.abandoned();
  });

  test.each([
    ['another host', () => other.issue('proxy', { names: ['other.example'] }), 'wrong-host'],
    ['another time', () => other.issue('proxy', { validFromDays: -9, validToDays: -2 }), 'certificate-expired'],
  ])('with a certificate for %s is not used', async (_what, issue, reason) => {
    const proxy = await startProxy(relays, issue());
    const error = await failure({ url, proxy: { url: proxy.url, tls: { ca: other.ca } } });
    expect(error).toMatchObject({ code: 'MQTT_PROXY', problem: 'tls', cause: { reason } });
  });

  test('taken for an http: one, and the other way round, are errors of their own', async () => {
    const secure = await startProxy(relays, certificate);
    const wrong = await failure({ url, proxy: { url: secure.url.replace('https:', 'http:') } });
    expect(wrong).toMatchObject({
      code: 'MQTT_PROXY',
      problem: expect.stringMatching(/^(closed|invalid-response)$/) as string,
    });
    expect(wrong.message).toContain('http: or https: in proxy.url');
    const plain = await startProxy(relays);
    const error = await failure({
      url,
      proxy: { url: plain.url.replace('http:', 'https:'), tls: { ca: authority.ca } },
    });
    expect(error).toMatchObject({ code: 'MQTT_PROXY', problem: 'tls' });
  });

  test('that hangs in its handshake ends with the deadline, which names it', async () => {
    const clock = new VirtualClock();
    const hanging = await startProxy(() => {});
    const loop = new EventLoop(
      {
        url,
        connectTimeoutMs: 2_000,
        proxy: { url: hanging.url.replace('http:', 'https:'), tls: { ca: authority.ca } },
      },
      { clock },
    );
    hanging.swallow();
    const started = watch(loop.start());
    await hanging.connected();
    await clock.advance(2_000);
    expect(started.error).toMatchObject({
      code: 'MQTT_CONNECT_TIMEOUT',
      step: `connecting to the proxy ${hanging.url.replace('http:', 'https:')}`,
    });
    await hanging.abandoned();
    await loop.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });
});
