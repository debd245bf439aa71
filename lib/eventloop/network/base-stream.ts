import { Duplex } from 'node:stream';
import { MqttConnectionError } from '../connection-errors.js';
import type { Server } from '../options.js';
import { untilAborted } from '../promises.js';
import type { DialContext } from './dial.js';
import { connectThroughProxy } from './http-proxy.js';
import type { ConnectHook, ConnectTarget } from './network-options.js';
import { proxyFor } from './proxy-options.js';
import { openSocket } from './socket.js';
import { openTcp } from './tcp.js';
import type { Tls } from './tls.js';

/** The bytes under TLS and WebSocket: what the `connect` hook opens, a Unix socket, a tunnel through a proxy, or TCP. @internal */
export async function openBaseStream(
  server: Server,
  signal: AbortSignal,
  context: DialContext,
  proxyTls: Tls,
): Promise<Duplex> {
  const { options } = context;
  if (options.connect !== undefined) return askHook(options.connect, server, signal);
  if (server.scheme === 'unix') return openSocket({ path: server.path }, signal, { lendsChunks: true });
  const proxy = options.proxy && proxyFor(options.proxy, server);
  if (proxy !== undefined) return connectThroughProxy(proxy, server, signal, context, proxyTls);
  return openTcp(server.host, server.port, server.label, signal, server.scheme === 'mqtt');
}

async function askHook(connect: ConnectHook, server: Server, signal: AbortSignal): Promise<Duplex> {
  const opening = Promise.resolve().then(() => connect(targetOf(server), signal));
  let stream: unknown;
  try {
    stream = await untilAborted(opening, signal);
  } catch (cause) {
    opening.then(discard, () => {});
    signal.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw hookError(server, `the connect hook failed: ${reason}`, { cause });
  }
  if (!(stream instanceof Duplex)) {
    discard(stream);
    throw hookError(
      server,
      `the connect hook returned ${stream === null ? 'null' : typeof stream}, not a Duplex stream`,
    );
  }
  if (stream.destroyed) throw hookError(server, 'the connect hook returned a stream that is destroyed already');
  return stream;
}

/** What hooks are told. @internal */
export function targetOf(server: Server): ConnectTarget {
  const { scheme } = server;
  if (scheme === 'unix') return { scheme, path: server.path };
  const { host, port } = server;
  if (scheme === 'ws' || scheme === 'wss') return { scheme, host, port, path: server.path };
  return { scheme, host, port };
}

/** Whoever opened it in vain does not wait for it any more. */
function discard(stream: unknown): void {
  if (stream instanceof Duplex) stream.on('error', () => {}).destroy();
}

function hookError(server: Server, message: string, options?: ErrorOptions): MqttConnectionError {
  return new MqttConnectionError(
    'MQTT_CONNECT_FAILED',
    `cannot connect to ${server.label}: ${message}`,
    'not-sent',
    options,
  );
}
