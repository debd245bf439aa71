import { inspect } from 'node:util';
import { EventLoop, MqttOptionsError } from 'nestjs-rumqtt/eventloop';
import { expect, onTestFinished, test, vi } from 'vitest';
import { proxyFor, type ProxiedServer } from '../../../lib/eventloop/network/proxy-options.js';
import { resolveOptions } from '../../../lib/eventloop/resolve-options.js';

const SECRET = 'hunter2';

function optionsError(options: object): MqttOptionsError {
  try {
    void new EventLoop(options);
  } catch (error) {
    return error as MqttOptionsError;
  }
  return expect.unreachable('the options were taken');
}

function environment(variables: Record<string, string>): void {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'])
    vi.stubEnv(name, variables[name]).stubEnv(name.toLowerCase(), variables[name.toLowerCase()]);
  onTestFinished(() => void vi.unstubAllEnvs());
}

test.each<[string, unknown, string]>([
  ['text', `http://user:${SECRET}@proxy`, "proxy is '…', expected { url } or { fromEnvironment: true }"],
  ['null', null, 'proxy is null'],
  ['nothing', {}, "proxy.url is '…', expected http://"],
  ['a URL without a scheme', { url: `user:${SECRET}@proxy:3128` }, 'proxy.url is'],
  ['a URL of another scheme', { url: `ftp://user:${SECRET}@proxy` }, 'proxy.url is'],
  ['a SOCKS URL', { url: `socks5://user:${SECRET}@proxy` }, 'connect hook'],
  ['a URL with a path', { url: `http://user:${SECRET}@proxy/path` }, 'proxy.url is'],
  ['a URL with a query', { url: `http://proxy?${SECRET}` }, 'nothing behind it'],
  ['a URL that cannot be read', { url: `http://user:${SECRET}@proxy:99999` }, "proxy.url is '…'"],
  ['a URL with broken percent-encoding', { url: `http://user:%ZZ${SECRET}@proxy` }, 'percent-encoded'],
  ['a URL with a colon in its user name', { url: `http://us%3Aer:${SECRET}@proxy` }, 'colon'],
  ['two origins', { fromEnvironment: true, url: `http://user:${SECRET}@proxy` }, "proxy.url is '…'"],
  ['an origin of a wrong type', { fromEnvironment: 'yes', url: 'http://proxy' }, 'proxy.fromEnvironment'],
  ['an unknown option', { url: 'http://proxy', password: SECRET }, "proxy.password is '…', expected no such option"],
  ['credentials as text', { url: 'http://proxy', credentials: `user:${SECRET}` }, "proxy.credentials is '…'"],
  ['credentials of null', { url: 'http://proxy', credentials: null }, "proxy.credentials is '…'"],
  ['a colon in the user name', { url: 'http://proxy', credentials: { username: 'a:b', password: SECRET } }, 'colon'],
  ['headers as text', { url: 'http://proxy', headers: SECRET }, "proxy.headers is '…'"],
  ['headers of null', { url: 'http://proxy', headers: null }, "proxy.headers is '…'"],
  [
    'a header that begins another',
    { url: 'http://proxy', headers: { A: `${SECRET}\r\nB: c` } },
    "proxy.headers is '…'",
  ],
  ['a header of bytes', { url: 'http://proxy', headers: { A: Buffer.from(SECRET) } }, "proxy.headers is '…'"],
  ['a name that is no header', { url: 'http://proxy', headers: { [`a ${SECRET}`]: 'b' } }, 'a header name'],
  ['a header that is ours', { url: 'http://proxy', headers: { Host: SECRET } }, 'not free to choose'],
  ['TLS for an http: proxy', { url: 'http://proxy', tls: {} }, 'an https: proxy.url'],
  ['TLS as text', { url: 'https://proxy', tls: SECRET }, 'proxy.tls is'],
  [
    'a certificate without its key',
    { url: 'https://proxy', tls: { cert: SECRET } },
    'proxy.tls.key is undefined, expected the private key of proxy.tls.cert',
  ],
  ['an unreadable authority', { url: 'https://proxy', tls: { ca: SECRET } }, 'proxy.tls.ca'],
  [
    'two authorizations',
    { url: 'http://proxy', credentials: { username: 'a' }, headers: { 'proxy-authorization': SECRET } },
    'no Proxy-Authorization beside proxy.credentials',
  ],
])('proxy: %s is an error at construction, which repeats no secret', (_what, proxy, words) => {
  const error = optionsError({ proxy });
  expect(error).toBeInstanceOf(MqttOptionsError);
  expect(error.message).toContain(words);
  expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(SECRET);
});

test('a proxy excludes the connect hook and Unix sockets', () => {
  const proxy = { url: 'http://proxy' };
  expect(optionsError({ proxy, connect: () => undefined }).message).toContain('no proxy beside the connect hook');
  expect(optionsError({ proxy, url: ['mqtt://a', 'unix:/run/b'] }).message).toContain('no proxy for unix:');
});

test('resolved options show no credentials and no headers', () => {
  const { proxy } = resolveOptions({
    proxy: { url: `http://user:${SECRET}@proxy`, headers: { 'X-Token': SECRET } },
  });
  expect(proxy?.plain?.credentials).toMatchObject({ password: SECRET });
  expect(inspect(proxy, { depth: Infinity })).not.toContain(SECRET);
  expect(JSON.stringify(proxy)).not.toContain(SECRET);
});

test.each([
  ['http://proxy', { scheme: 'http', host: 'proxy', port: 80, label: 'http://proxy:80' }],
  ['https://proxy', { scheme: 'https', host: 'proxy', port: 443, label: 'https://proxy:443' }],
  ['http://[::1]:3128/', { scheme: 'http', host: '::1', port: 3128, label: 'http://[::1]:3128' }],
])('%s is read', (url, proxy) => {
  expect(resolveOptions({ proxy: { url } }).proxy).toMatchObject({ plain: proxy, secure: proxy });
});

test('the environment names one proxy for TLS and one without', () => {
  environment({ HTTPS_PROXY: 'http://secure:1', http_proxy: 'plain:2', NO_PROXY: 'inside.example' });
  const proxies = resolveOptions({ proxy: { fromEnvironment: true } }).proxy!;
  const proxyOf = (scheme: ProxiedServer['scheme'], host: string): string | undefined =>
    proxyFor(proxies, { scheme, host, port: 1 })?.label;
  expect(proxyOf('mqtts', 'b.example')).toBe('http://secure:1');
  expect(proxyOf('wss', 'b.example')).toBe('http://secure:1');
  expect(proxyOf('mqtt', 'b.example')).toBe('http://plain:2');
  expect(proxyOf('ws', 'b.example')).toBe('http://plain:2');
  expect(proxyOf('mqtts', 'b.inside.example')).toBeUndefined();
  expect(proxyOf('ws', 'localhost')).toBeUndefined();
});

test('an environment without a proxy is no mistake, and one that cannot be read is told with its variable', () => {
  environment({});
  expect(resolveOptions({ proxy: { fromEnvironment: true } }).proxy).toMatchObject({
    plain: undefined,
    secure: undefined,
  });
  environment({ ALL_PROXY: `socks5h://user:${SECRET}@proxy` });
  const { message } = optionsError({ proxy: { fromEnvironment: true } });
  expect(message).toContain('ALL_PROXY of the environment');
  expect(message).not.toContain(SECRET);
});
