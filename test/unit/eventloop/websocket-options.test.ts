import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { MqttOptionsError, type OptionIssue } from '../../../lib/eventloop/errors.js';
import { resolveOptions } from '../../../lib/eventloop/resolve-options.js';

function issuesOf(webSocket: unknown, url = 'ws://broker/mqtt'): readonly OptionIssue[] {
  try {
    resolveOptions({ url, webSocket: webSocket as never });
  } catch (error) {
    if (!(error instanceof MqttOptionsError)) throw error;
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('canary');
    return error.issues;
  }
  return [];
}

test.each([
  undefined,
  {},
  { headers: {} },
  { headers: { Authorization: 'Bearer x' } },
  { headers: () => ({}), url: () => '' },
])('%o is taken', (webSocket) => {
  expect(issuesOf(webSocket)).toEqual([]);
});

test.each([
  ['text', 'canary', 'webSocket'],
  ['null', null, 'webSocket'],
  ['an unknown name', { header: 'canary' }, 'webSocket.header'],
  ['headers as a list', { headers: ['canary'] }, 'webSocket.headers'],
  ['a number for a header', { headers: { 'X-A': 5 } }, 'webSocket.headers'],
  ['a line break in a header', { headers: { 'X-A': 'canary\r\nX-B: 1' } }, 'webSocket.headers'],
  ['a name that is none', { headers: { 'X A': 'canary' } }, 'webSocket.headers'],
  ['a header of the handshake', { headers: { 'Sec-WebSocket-Key': 'canary' } }, 'webSocket.headers'],
  ['a url that is no function', { url: 'wss://broker/?canary' }, 'webSocket.url'],
])('%s is refused by name and without its content', (_what, webSocket, option) => {
  expect(issuesOf(webSocket)).toMatchObject([{ option }]);
});

test.each(['mqtt://broker', 'unix:/run/broker.sock'])('is refused where no url uses it: %s', (url) => {
  expect(issuesOf({ headers: {} }, url)).toMatchObject([{ option: 'webSocket' }]);
});

test('what was resolved shows no header', () => {
  const resolved = resolveOptions({ url: 'ws://broker', webSocket: { headers: { Authorization: 'canary' } } });
  expect(resolved.webSocket?.headers).toHaveProperty('Authorization', 'canary');
  expect(inspect(resolved, { depth: Infinity }) + JSON.stringify(resolved)).not.toContain('canary');
});

test('connect has to be a function', () => {
  expect(() => resolveOptions({ connect: {} as never })).toThrow(/connect is.*expected a function/);
});
