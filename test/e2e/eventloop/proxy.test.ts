import { generateKeyPairSync } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventLoop, jwt, MqttProxyError, type EventLoopOptions, type MqttError } from 'nestjs-rumqtt/eventloop';
import { ScriptedBroker, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { jwtVerify } from 'jose';
import { freePort } from '../../fixtures/ports.js';
import { ScriptedProxy, type ProxyAnswer } from '../../fixtures/scripted-proxy.js';
import { watch } from '../../fixtures/watch.js';

const OK = 'HTTP/1.1 200 Connection established\r\n\r\n';

/** A proxy that answers like this, with a broker that takes everything behind it. */
async function proxied(
  answer: (broker: ScriptedBroker) => ProxyAnswer,
): Promise<{ proxy: ScriptedProxy; broker: ScriptedBroker }> {
  const broker = new ScriptedBroker();
  broker.serve();
  const proxy = await ScriptedProxy.start(answer(broker));
  onTestFinished(async () => {
    await proxy[Symbol.asyncDispose]();
    await broker.close();
    broker.assertClean();
  });
  return { proxy, broker };
}

const opensTunnel =
  (head = OK) =>
  (broker: ScriptedBroker): ProxyAnswer =>
  (socket) => {
    socket.write(head);
    broker.attach(socket);
  };

function loopThrough(
  proxy: EventLoopOptions['proxy'],
  options: EventLoopOptions = {},
  clock?: VirtualClock,
): EventLoop {
  const loop = new EventLoop({ url: 'mqtt://broker.example', proxy, ...options }, clock ? { clock } : {});
  onTestFinished(async () => {
    const closing = loop.shutdown({ drainTimeoutMs: 0 });
    await clock?.advance(5_000);
    await closing;
    expect(clock?.pendingTimers ?? 0).toBe(0);
  });
  return loop;
}

const failure = (loop: EventLoop): Promise<MqttError> =>
  loop.start().then(
    () => expect.unreachable('the loop started'),
    (error: unknown) => error as MqttError,
  );

describe('a tunnel', () => {
  test('carries the connection; the name of the server is left to the proxy to resolve', async () => {
    const { proxy, broker } = await proxied(opensTunnel());
    const loop = loopThrough({ url: proxy.url });
    await loop.start();
    await loop.publish('a', 'x', { qos: 2 });
    expect(proxy.requests).toEqual([
      {
        authority: 'broker.example:1883',
        headers: { host: 'broker.example:1883' },
        text: 'CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883',
      },
    ]);
    expect(broker.connections).toHaveLength(1);
    expect(loop.negotiated?.server).toBe('mqtt://broker.example:1883');
  });

  test('the authority of an IPv6 address has brackets', async () => {
    const { proxy } = await proxied(opensTunnel());
    await loopThrough({ url: proxy.url }, { url: 'mqtt://[2001:db8::1]:1884' }).start();
    expect(proxy.requests[0]).toMatchObject({
      authority: '[2001:db8::1]:1884',
      headers: { host: '[2001:db8::1]:1884' },
    });
  });

  test.each([
    ['a bare status', 'HTTP/1.1 200\r\n\r\n'],
    ['another status of 2xx', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['headers', 'HTTP/1.0 200 OK\r\nVia: one\r\nProxy-Agent: two\r\nContent-Length: 5\r\n\r\n'],
    ['an announcement', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ])('D16: opens after an answer with %s', async (_what, head) => {
    const { proxy } = await proxied(opensTunnel(head));
    const loop = loopThrough({ url: proxy.url });
    await loop.start();
    expect(await loop.publish('a', 'x', { qos: 1 })).toMatchObject({ qos: 1 });
  });

  test('opens when the answer comes byte by byte', async () => {
    const { proxy } = await proxied((broker) => (socket) => {
      const head = Buffer.from(`HTTP/1.1 200 OK\r\nVia: one\r\n\r\n`);
      const sendFrom = (at: number): void => {
        if (at < head.length) socket.write(head.subarray(at, at + 1), () => setImmediate(sendFrom, at + 1));
        else broker.attach(socket);
      };
      socket.setNoDelay(true);
      sendFrom(0);
    });
    const loop = loopThrough({ url: proxy.url });
    await loop.start();
    expect(await loop.publish('a', 'x', { qos: 1 })).toMatchObject({ qos: 1 });
  });

  test('D16: bytes that come with the blank line are the first of the connection', async () => {
    // CONNACK, and a PUBLISH of "x" to "a" right behind it.
    const early = Buffer.from('20020000 3004 0001 61 78'.replaceAll(' ', ''), 'hex');
    const { proxy } = await proxied(() => (socket) => {
      socket.write(Buffer.concat([Buffer.from(OK), early]));
    });
    const loop = loopThrough({ url: proxy.url }, { protocolVersion: 4 });
    const received = new Promise((resolve) =>
      loop.onMessage(({ topic, payload }) => resolve([topic, payload.toString()])),
    );
    await loop.start();
    expect(await received).toEqual(['a', 'x']);
  });
});

describe('what the proxy is told', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  test.each<[string, (url: string) => EventLoopOptions['proxy'], Record<string, string>]>([
    [
      'user information of its URL',
      (url) => ({ url: url.replace('//', '//pl%40nt:p%3Ass@') }),
      { 'proxy-authorization': basic('pl@nt:p:ss') },
    ],
    [
      'credentials, before those of its URL',
      (url) => ({ url: url.replace('//', '//other:one@'), credentials: { username: 'ünter', password: 'pass' } }),
      { 'proxy-authorization': basic('ünter:pass') },
    ],
    [
      'a password of bytes',
      (url) => ({ url, credentials: { username: 'plant', password: Buffer.from('pass') } }),
      { 'proxy-authorization': basic('plant:pass') },
    ],
    [
      'headers',
      (url) => ({ url, headers: { 'Proxy-Authorization': 'Bearer token', 'User-Agent': 'plant' } }),
      { 'proxy-authorization': 'Bearer token', 'user-agent': 'plant' },
    ],
    [
      'headers of a provider beside credentials',
      (url) => ({ url, headers: async () => ({ 'X-Site': '7' }), credentials: async () => ({ username: 'a' }) }),
      { 'proxy-authorization': basic('a:'), 'x-site': '7' },
    ],
  ])('%s', async (_what, options, headers) => {
    const { proxy } = await proxied(opensTunnel());
    await loopThrough(options(proxy.url)).start();
    expect(proxy.requests[0]?.headers).toEqual({ host: 'broker.example:1883', ...headers });
  });

  test('a JSON Web Token as the password, as rumqtt had it: signed for every attempt, and the client id is the user', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const { proxy, broker } = await proxied(() => (socket) => void socket.end('HTTP/1.1 502 No\r\n\r\n'));
    const credentials = jwt({
      key: privateKey,
      algorithm: 'RS256',
      expiresInSeconds: 60,
      jwtId: true,
      username: ({ clientId }) => clientId,
      claims: ({ server }) => ({ proxy: server }),
    });
    const loop = loopThrough(
      { url: proxy.url, credentials },
      { clientId: 'plant-7', reconnect: { policy: 'always', minDelayMs: 1, maxDelayMs: 1 } },
    );
    await loop.start();
    proxy.answer = opensTunnel()(broker);
    await loop.publish('a', 'x', { qos: 1 });
    const identifiers = new Set<unknown>();
    for (const { headers } of proxy.requests) {
      const [user, token] = Buffer.from(headers['proxy-authorization']!.slice('Basic '.length), 'base64')
        .toString()
        .split(':');
      expect(user).toBe('plant-7');
      const { payload } = await jwtVerify(token!, publicKey, {
        algorithms: ['RS256'],
        requiredClaims: ['iat', 'exp', 'jti'],
      });
      expect(payload).toMatchObject({ proxy: proxy.url });
      identifiers.add(payload.jti);
    }
    expect(identifiers.size).toBe(proxy.requests.length);
    expect(identifiers.size).toBeGreaterThan(1);
  });

  test('a provider is asked again for every attempt, so a loop recovers from a stale password', async () => {
    const { proxy, broker } = await proxied(() => () => {});
    proxy.answer = (socket, request) => {
      if (request.headers['proxy-authorization'] === basic('plant:2')) opensTunnel()(broker)(socket, request);
      else socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    };
    let asked = 0;
    const loop = loopThrough(
      { url: proxy.url, credentials: async () => ({ username: 'plant', password: `${++asked}` }) },
      { reconnect: { policy: 'always', minDelayMs: 1, maxDelayMs: 1 } },
    );
    const causes: MqttError[] = [];
    loop.on('disconnected', ({ cause }) => causes.push(cause));
    await loop.start();
    await loop.publish('a', 'x', { qos: 1 });
    expect(causes).toMatchObject([{ code: 'MQTT_PROXY', status: 407, problem: 'credentials' }]);
    expect(asked).toBe(2);
  });

  test.each<[string, EventLoopOptions['proxy'], string]>([
    [
      'credentials that fail',
      { url: 'http://p', credentials: async () => Promise.reject(new Error('vault')) },
      'failed',
    ],
    ['credentials that are none', { url: 'http://p', credentials: (() => 5) as never }, 'number'],
    ['a user name with a colon', { url: 'http://p', credentials: () => ({ username: 'a:b' }) }, 'colon'],
    ['headers that fail', { url: 'http://p', headers: async () => Promise.reject(new Error('vault')) }, 'failed'],
    ['headers that are none', { url: 'http://p', headers: (() => null) as never }, 'something else than an object'],
    ['a header that would begin another', { url: 'http://p', headers: () => ({ A: 'b\r\nC: d' }) }, 'value of A'],
    ['a header that would end the request', { url: 'http://p', headers: () => ({ 'A\r\n\r\n': 'b' }) }, 'header name'],
    ['a header that is ours', { url: 'http://p', headers: () => ({ host: 'b' }) }, 'not free to choose'],
    ['headers without bounds', { url: 'http://p', headers: () => ({ A: 'b'.repeat(20_000) }) }, '16384'],
  ])('%s: the attempt fails before anything is dialled', async (_what, options, problem) => {
    const error = await failure(loopThrough(options));
    expect(error).toMatchObject({ code: 'MQTT_CREDENTIALS', message: expect.stringContaining(problem) as string });
  });
});

describe('a proxy that opens no tunnel is an error of its own', () => {
  const says = (text: string) => (): ProxyAnswer => (socket) => void socket.end(text);
  const floods = (): ProxyAnswer => (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    const more = (): void => {
      if (!socket.destroyed) socket.write('A: b\r\n'.repeat(1_000), () => setImmediate(more));
    };
    more();
  };

  test.each<[string, () => ProxyAnswer, object, string[]]>([
    [
      '407',
      says('HTTP/1.1 407 secret\r\nProxy-Authenticate: Negotiate, Basic realm="secret"\r\n\r\n<html>secret</html>'),
      { problem: 'credentials', status: 407 },
      ['asks for proxy credentials', 'it takes Basic, Negotiate)', 'set proxy.credentials'],
    ],
    ['403', says('HTTP/1.1 403 secret\r\n\r\n'), { problem: 'refused', status: 403 }, ['443', 'broker.example:1883']],
    ['502', says('HTTP/1.1 502 secret\r\n\r\n'), { problem: 'refused', status: 502 }, ['resolve and reach']],
    ['302', says('HTTP/1.1 302 Found\r\nLocation: secret\r\n\r\n'), { problem: 'refused', status: 302 }, ['302 Found']],
    ['a status nobody knows', says('HTTP/1.1 799 secret\r\n\r\n'), { problem: 'refused', status: 799 }, ['799']],
    ['a protocol upgrade', says('HTTP/1.1 101 secret\r\n\r\n'), { problem: 'closed' }, ['closed the connection']],
    ['garbage', says('SSH-2.0-secret\r\n'), { problem: 'invalid-response' }, ['not HTTP/1', 'proxy.url']],
    ['a malformed header', says('HTTP/1.1 200 OK\r\nsecret\r\n\r\n'), { problem: 'invalid-response' }, ['header']],
    ['an early close', says(''), { problem: 'closed' }, ['closed the connection', 'proxy.url']],
    ['no blank line', says('HTTP/1.1 200 OK\r\nVia: secret\r\n'), { problem: 'closed' }, ['closed the connection']],
    ['headers without end', floods, { problem: 'invalid-response' }, ['16384 bytes']],
    [
      'a reset',
      () => (socket) => void socket.resetAndDestroy(),
      { problem: 'closed', cause: { code: 'ECONNRESET' } },
      ['ECONNRESET'],
    ],
  ])('%s', async (_what, answer, properties, words) => {
    const { proxy } = await proxied(answer);
    const error = await failure(loopThrough({ url: proxy.url }));
    expect(error).toBeInstanceOf(MqttProxyError);
    expect(error).toMatchObject({ name: 'MqttProxyError', code: 'MQTT_PROXY', proxy: proxy.url, ...properties });
    for (const word of [proxy.url, ...words]) expect(error.message).toContain(word);
    expect(error.message).not.toContain('secret');
    await proxy.abandoned();
  });

  test('a proxy that refuses what it was given says so', async () => {
    const { proxy } = await proxied(says('HTTP/1.1 407 No\r\n\r\n'));
    const error = await failure(loopThrough({ url: proxy.url, credentials: { username: 'a', password: 'b' } }));
    expect(error.message).toContain('did not accept the proxy credentials');
    expect(error.message).toContain('correct proxy.credentials');
  });

  test('a proxy that is not there', async () => {
    const port = await freePort();
    const error = await failure(loopThrough({ url: `http://127.0.0.1:${port}` }));
    expect(error).toMatchObject({
      code: 'MQTT_PROXY',
      problem: 'unreachable',
      proxy: `http://127.0.0.1:${port}`,
      cause: { code: 'MQTT_CONNECT_FAILED', cause: { code: 'ECONNREFUSED' } },
    });
  });

  test('D23: a proxy that hangs: the deadline names it, and nothing stays open', async () => {
    const clock = new VirtualClock();
    const { proxy } = await proxied(() => (socket) => void socket.write('HTTP/1.1 200 OK\r\nVia: '));
    const started = watch(loopThrough({ url: proxy.url }, { connectTimeoutMs: 5_000 }, clock).start());
    await proxy.requested();
    await clock.advance(4_999);
    expect(started.state).toBe('pending');
    await clock.advance(1);
    expect(started.error).toMatchObject({
      code: 'MQTT_CONNECT_TIMEOUT',
      step: `waiting for the proxy ${proxy.url} to answer`,
    });
    await proxy.abandoned();
  });

  test('D23: a provider that hangs ends with the deadline, and the proxy hears nothing', async () => {
    const clock = new VirtualClock();
    const { proxy } = await proxied(() => () => {});
    const loop = loopThrough({ url: proxy.url, credentials: () => new Promise(() => {}) }, {}, clock);
    const started = watch(loop.start());
    await clock.advance(10_000);
    expect(started.error).toMatchObject({
      code: 'MQTT_CONNECT_TIMEOUT',
      step: `asking for what to tell the proxy ${proxy.url}`,
    });
    expect(proxy.requests).toEqual([]);
  });

  test('a tunnel that closes as soon as it is open ends the attempt at once', async () => {
    const { proxy } = await proxied(says(OK));
    const error = await failure(loopThrough({ url: proxy.url }));
    expect(error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
  });
});

test('the loop recovers when the proxy does, and loses nothing', async () => {
  const { proxy, broker } = await proxied(() => (socket) => void socket.end('HTTP/1.1 503 Busy\r\n\r\n'));
  const loop = loopThrough({ url: proxy.url }, { reconnect: { policy: 'always', minDelayMs: 1, maxDelayMs: 5 } });
  const published = loop.publish('a', 'x', { qos: 1 });
  await loop.start();
  await proxy.requested(3);
  proxy.answer = opensTunnel()(broker);
  await published;
  expect(broker.connections).toHaveLength(1);
});

describe('a proxy of the environment', () => {
  test.each([
    ['mqtt://broker.example', { HTTP_PROXY: 'PROXY' }, true],
    ['mqtt://broker.example', { http_proxy: 'PROXY', HTTP_PROXY: 'http://127.0.0.1:1' }, true],
    ['mqtt://broker.example', { ALL_PROXY: 'PROXY' }, true],
    ['mqtt://broker.example', { HTTP_PROXY: '', ALL_PROXY: 'PROXY' }, true],
    ['mqtt://broker.example', { HTTP_PROXY: 'PROXY', NO_PROXY: 'other.example' }, true],
    ['mqtt://localhost:1', { HTTP_PROXY: 'PROXY' }, false],
    ['mqtt://127.0.0.1:1', { HTTP_PROXY: 'PROXY', NO_PROXY: 'broker.example' }, false],
    ['mqtt://127.0.0.1:1', { HTTPS_PROXY: 'PROXY' }, false],
  ])('%s with %o: %s', async (url, variables, isProxied) => {
    const { proxy } = await proxied(opensTunnel());
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY']) {
      vi.stubEnv(name, undefined).stubEnv(name.toLowerCase(), undefined);
    }
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value.replace('PROXY', proxy.url));
    onTestFinished(() => void vi.unstubAllEnvs());
    const loop = loopThrough({ fromEnvironment: true }, { url });
    await loop.start().catch(() => {});
    expect(loop.status).toBe(isProxied ? 'connected' : 'idle');
    expect(proxy.requests).toHaveLength(isProxied ? 1 : 0);
  });

  test('counts only on request', async () => {
    const { proxy } = await proxied(opensTunnel());
    vi.stubEnv('HTTP_PROXY', proxy.url).stubEnv('ALL_PROXY', proxy.url);
    onTestFinished(() => void vi.unstubAllEnvs());
    await failure(loopThrough(undefined, { url: `mqtt://127.0.0.1:${await freePort()}` }));
    await nextTurn();
    expect(proxy.requests).toEqual([]);
  });
});
