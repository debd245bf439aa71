import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { OptionChecks } from '../../../lib/eventloop/option-checks.js';
import type { Server } from '../../../lib/eventloop/options.js';
import { parseServerReference, parseServers } from '../../../lib/eventloop/server-url.js';

function parsed(url: unknown): { servers: readonly Server[]; issues: readonly string[] } {
  const checks = new OptionChecks();
  const servers = parseServers(url, checks);
  return { servers, issues: checks.issues.map(({ option, value, expected }) => `${option} ${value}: ${expected}`) };
}

function only(url: string): Server {
  const { servers, issues } = parsed(url);
  expect(issues).toEqual([]);
  return servers[0]!;
}

test.each([
  ['mqtt://broker', { scheme: 'mqtt', host: 'broker', port: 1883, label: 'mqtt://broker:1883' }],
  ['mqtts://broker', { scheme: 'mqtts', host: 'broker', port: 8883, label: 'mqtts://broker:8883' }],
  ['ws://broker', { scheme: 'ws', host: 'broker', port: 80, path: '/', label: 'ws://broker:80/' }],
  ['wss://broker/mqtt', { scheme: 'wss', host: 'broker', port: 443, path: '/mqtt', label: 'wss://broker:443/mqtt' }],
  ['ws://[::1]:7/a/b', { scheme: 'ws', host: '::1', port: 7, path: '/a/b', label: 'ws://[::1]:7/a/b' }],
  ['mqtt://[::1]:7', { scheme: 'mqtt', host: '::1', port: 7, label: 'mqtt://[::1]:7' }],
  ['unix:/run/mosquitto.sock', { scheme: 'unix', path: '/run/mosquitto.sock', label: 'unix:/run/mosquitto.sock' }],
  ['unix:///run/mosquitto.sock', { scheme: 'unix', path: '/run/mosquitto.sock', label: 'unix:/run/mosquitto.sock' }],
  ['unix:/run/a%20b', { scheme: 'unix', path: '/run/a b', label: 'unix:/run/a b' }],
])('%s', (url, server) => {
  expect(only(url)).toEqual({ ...server, credentials: undefined });
});

describe('Unix sockets', () => {
  test.each([
    'unix:',
    'unix:/',
    'unix:relative.sock',
    'unix://host/run/a.sock',
    'unix:/run/a?b',
    'unix:/run/a#b',
    'unix:/run/%00',
    'unix:/run/%ZZ',
    `unix:/${'x'.repeat(107)}`,
  ])('%s is refused', (url) => {
    const { servers, issues } = parsed(url);
    expect(servers).toEqual([]);
    expect(issues).toMatchObject([expect.stringMatching(/^url '.*unix:\/path/)]);
  });

  test('the longest path that fits into an address', () => {
    expect(only(`unix:/${'x'.repeat(106)}`)).toMatchObject({ scheme: 'unix' });
  });
});

test('a Server Reference is reached as the server was that refers to it', () => {
  const credentials = { username: 'u' };
  const from = { ...only('mqtt://a'), credentials };
  expect(parseServerReference('b:7', from)).toMatchObject({ scheme: 'mqtt', host: 'b', port: 7, credentials });
  expect(parseServerReference('b', { ...from, scheme: 'mqtts' } as Server)).toMatchObject({
    scheme: 'mqtts',
    port: 8883,
  });
  expect(parseServerReference('b', only('unix:/run/a.sock'))).toBeUndefined();
});

test('the query of a WebSocket url is kept, and hidden', () => {
  const server = only('wss://broker/mqtt?X-Amz-Signature=canary');
  expect(server.search).toBe('?X-Amz-Signature=canary');
  expect(inspect(server, { depth: Infinity }) + JSON.stringify(server)).not.toContain('canary');
});

test.each(['ws://broker/mqtt#part', 'http://broker', 'mqtts://broker/path', 'mqtts://broker?a=b'])(
  '%s is refused',
  (url) => {
    expect(parsed(url)).toMatchObject({ servers: [], issues: [expect.stringContaining('wss://')] });
  },
);

test('a Server Reference keeps the path of a WebSocket, and drops its query', () => {
  const there = parseServerReference('b', only('wss://a/mqtt?token=1'));
  expect(there).toMatchObject({ scheme: 'wss', host: 'b', port: 443, path: '/mqtt', search: '' });
});
