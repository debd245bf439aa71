import { inspect } from 'node:util';
import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { ScriptedBroker } from 'nestjs-rumqtt/testing';
import { expect, onTestFinished, test } from 'vitest';
import { ScriptedProxy, type ProxyAnswer } from '../../fixtures/scripted-proxy.js';

const PASSWORD = 'canary-password';
const HEADER = 'canary-header';
const CANARIES = [PASSWORD, HEADER, Buffer.from(`plant:${PASSWORD}`).toString('base64')];

/** Everything that a log, a debugger or a serializer could show of it. */
function everythingSaid(value: unknown): string {
  const said = [inspect(value, { depth: Infinity, showHidden: true, getters: true }), JSON.stringify(value)];
  for (let error = value; error instanceof Error; error = error.cause) {
    said.push(error.message, error.stack ?? '', String(error), JSON.stringify(error));
  }
  return said.join('\n');
}

const EVENTS = ['connected', 'disconnected', 'reconnecting', 'closed'] as const;

/** Proxies that repeat what we told them wherever they can. */
const echo: Record<string, ProxyAnswer> = {
  'in the reason of a 407': (socket, { text }) => void socket.end(`HTTP/1.1 407 ${flat(text)}\r\n\r\n`),
  'as the challenge of a 407': (socket, { text }) =>
    void socket.end(`HTTP/1.1 407 No\r\nProxy-Authenticate: ${flat(text)}, ${PASSWORD}, ${HEADER}\r\n\r\n`),
  'in the reason and the body of a 502': (socket, { text }) =>
    void socket.end(`HTTP/1.1 502 ${flat(text)}\r\nA: ${flat(text)}\r\n\r\n${text}`),
  'as the status line': (socket, { text }) => void socket.end(`HTTP/1.1 ${flat(text)}\r\n\r\n`),
  'as a malformed header': (socket, { text }) => void socket.end(`HTTP/1.1 200 OK\r\n${flat(text)}\r\n\r\n`),
  'as garbage': (socket, { text }) => void socket.end(text),
  'and close': (socket) => void socket.end(),
  'and reset': (socket) => void socket.resetAndDestroy(),
  'as the first bytes of the tunnel': (socket, { text }) => void socket.end(`HTTP/1.1 200 OK\r\n\r\n${text}`),
};

const flat = (text: string): string => text.replaceAll(/[\r\n]+/g, ' ');

test.each(Object.entries(echo))(
  'a proxy that repeats our secrets %s: no error, event or inspection does',
  async (_how, answer) => {
    await using proxy = await ScriptedProxy.start(answer);
    const sources: NonNullable<EventLoopOptions['proxy']>[] = [
      { url: proxy.url.replace('//', `//plant:${PASSWORD}@`), headers: { 'X-Token': HEADER } },
      { url: proxy.url, credentials: { username: 'plant', password: PASSWORD }, headers: { 'X-Token': HEADER } },
      {
        url: proxy.url,
        credentials: async () => ({ username: 'plant', password: PASSWORD }),
        headers: async () => ({ 'X-Token': HEADER }),
      },
    ];
    for (const source of sources) {
      const loop = new EventLoop({ url: 'mqtt://broker.example', proxy: source });
      const seen: unknown[] = [loop];
      for (const event of EVENTS) loop.on(event, (value) => seen.push(value));
      seen.push(await loop.start().catch((error: unknown) => error), loop.stats(), loop.negotiated);
      const { text } = await proxy.requested(proxy.requests.length);
      expect(text).toContain(CANARIES[2]);
      expect(text).toContain(HEADER);
      expect(seen.length).toBeGreaterThan(4);
      for (const canary of CANARIES) for (const value of seen) expect(everythingSaid(value)).not.toContain(canary);
      await loop.shutdown();
    }
  },
);

test('a connection through a tunnel shows no secret either', async () => {
  const broker = new ScriptedBroker();
  broker.serve();
  await using proxy = await ScriptedProxy.start((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    broker.attach(socket);
  });
  onTestFinished(() => broker.close());
  const url = proxy.url.replace('//', `//plant:${PASSWORD}@`);
  const loop = new EventLoop({ url: 'mqtt://broker.example', proxy: { url, headers: { 'X-Token': HEADER } } });
  const seen: unknown[] = [loop];
  for (const event of EVENTS) loop.on(event, (value) => seen.push(value));
  await loop.start();
  seen.push(loop.negotiated, loop.stats());
  await proxy[Symbol.asyncDispose]();
  await loop.shutdown({ drainTimeoutMs: 0 });
  for (const canary of CANARIES) for (const value of seen) expect(everythingSaid(value)).not.toContain(canary);
});
