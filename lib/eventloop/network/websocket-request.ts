import { validateHeaderName, validateHeaderValue } from 'node:http';
import { MqttCredentialsError } from '../connection-errors.js';
import type { Server } from '../options.js';
import { untilAborted } from '../promises.js';
import { targetOf } from './base-stream.js';
import type { WebSocketHeaders, WebSocketOptions } from './network-options.js';

/** @internal */
export type WebSocketServer = Extract<Server, { readonly scheme: 'ws' | 'wss' }>;

/** What the handshake asks for. A secret. @internal */
export interface WebSocketRequest {
  readonly url: URL;
  readonly headers: WebSocketHeaders;
}

const ours = /^(connection|upgrade|content-length|transfer-encoding|sec-websocket-.*)$/i;

/** Asks the user's functions. @throws MqttCredentialsError @internal */
export async function webSocketRequest(
  server: WebSocketServer,
  { headers = {}, url }: WebSocketOptions = {},
  signal: AbortSignal,
): Promise<WebSocketRequest> {
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  const base = new URL(`${server.scheme}://${host}:${server.port}${server.path}${server.search ?? ''}`);
  const target = targetOf(server);
  return {
    url: url === undefined ? base : sameServer(await ask('webSocket.url', () => url(target, signal), signal), base),
    headers:
      typeof headers === 'function'
        ? checked(await ask('webSocket.headers', () => headers(target, signal), signal))
        : withNames(headers),
  };
}

async function ask(option: string, question: () => unknown, signal: AbortSignal): Promise<unknown> {
  try {
    return await untilAborted(Promise.resolve().then(question), signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw new MqttCredentialsError(`the function ${option} failed; its error is the cause`, { cause });
  }
}

function sameServer(answer: unknown, base: URL): URL {
  const text = answer instanceof URL ? answer.href : answer;
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new MqttCredentialsError('the function webSocket.url returned no absolute URL');
  const isSame = url.protocol === base.protocol && url.host === base.host;
  if (isSame && url.username === '' && url.password === '' && url.hash === '') return url;
  throw new MqttCredentialsError(
    `the function webSocket.url returned something else than ${base.protocol}//${base.host} with a path and a query`,
  );
}

function checked(headers: unknown): WebSocketHeaders {
  const problem = headersProblem(headers);
  if (problem !== undefined) throw new MqttCredentialsError(`the function webSocket.headers returned ${problem}`);
  return headers as WebSocketHeaders;
}

/** What is wrong with a value that should be headers; never repeats a value. @internal */
export function headersProblem(headers: unknown): string | undefined {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return 'something else than an object';
  for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
    if (ours.test(name)) return `${name}, which belongs to the handshake itself`;
    try {
      validateHeaderName(name);
    } catch {
      return 'a name that HTTP does not allow';
    }
    try {
      validateHeaderValue(name, value as string);
    } catch {
      return `a value of ${name} that HTTP does not allow`;
    }
    if (typeof value !== 'string') return `a value of ${name} that is no string`;
  }
  return undefined;
}

/** Headers given once are hidden, and with it from those who copy them. */
function withNames(headers: WebSocketHeaders): WebSocketHeaders {
  return Object.fromEntries(Object.getOwnPropertyNames(headers).map((name) => [name, headers[name]!]));
}
