import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { untilAborted } from '../promises.js';
import { MqttConnectionError } from '../connection-errors.js';
import type { Server } from '../options.js';
import type { Dial } from './dial.js';

/** An address gets at least this long before the next one is tried. */
const LEAST_PER_ADDRESS_MS = 2_000;

/**
 * Plain TCP. Tries every address of the host one after the other; the caller's signal bounds the whole.
 *
 * @internal
 */
export const dialTcp: Dial = async (server, signal) => {
  const addresses = await resolve(server, signal);
  const failures: unknown[] = [];
  for (const [index, address] of addresses.entries()) {
    signal.throwIfAborted();
    try {
      // The last one may use all the time that is left: a slow link must not lose to a short timeout.
      return await open(
        address,
        server.port,
        signal,
        index === addresses.length - 1 ? undefined : LEAST_PER_ADDRESS_MS,
      );
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
  }
  const reasons = failures.map((failure) => (failure as Error).message).join('; ');
  throw new MqttConnectionError('MQTT_CONNECT_FAILED', `cannot connect to ${server.label}: ${reasons}`, 'not-sent', {
    cause: failures.length === 1 ? failures[0] : new AggregateError(failures),
  });
};

async function resolve(server: Server, signal: AbortSignal): Promise<string[]> {
  if (isIP(server.host) !== 0) return [server.host];
  try {
    const found = await untilAborted(lookup(server.host, { all: true }), signal);
    return found.map(({ address }) => address);
  } catch (cause) {
    signal.throwIfAborted();
    throw new MqttConnectionError(
      'MQTT_CONNECT_FAILED',
      `cannot resolve the host of ${server.label}: ${(cause as Error).message}`,
      'not-sent',
      { cause },
    );
  }
}

function open(host: string, port: number, signal: AbortSignal, timeoutMs: number | undefined): Promise<Socket> {
  return new Promise((resolveOpen, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const settle = (): void => {
      socket.removeListener('connect', onConnect);
      socket.removeListener('error', fail);
      socket.setTimeout(0);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      settle();
      socket.on('error', () => {}).destroy();
      reject(error);
    };
    const onConnect = (): void => {
      settle();
      resolveOpen(socket);
    };
    const onAbort = (): void => fail(signal.reason as Error);
    socket.once('connect', onConnect).once('error', fail);
    if (timeoutMs !== undefined)
      socket.setTimeout(timeoutMs, () => fail(new Error(`connect ${host}:${port} timed out`)));
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
