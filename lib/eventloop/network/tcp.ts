import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { untilAborted } from '../promises.js';
import { MqttConnectionError } from '../connection-errors.js';
import { openSocket } from './socket.js';

/** An address gets at least this long before the next one is tried. */
const LEAST_PER_ADDRESS_MS = 2_000;

/**
 * Plain TCP. Tries every address of the host one after the other; the caller's signal bounds the whole.
 *
 * @param label what the errors call the other side
 * @param lendsChunks see `SocketOptions`
 * @internal
 */
export async function openTcp(
  host: string,
  port: number,
  label: string,
  signal: AbortSignal,
  lendsChunks = false,
): Promise<Socket> {
  const addresses = await resolve(host, label, signal);
  const failures: unknown[] = [];
  for (const [index, address] of addresses.entries()) {
    signal.throwIfAborted();
    try {
      // The last one may use all the time that is left: a slow link must not lose to a short timeout.
      const timeoutMs = index === addresses.length - 1 ? undefined : LEAST_PER_ADDRESS_MS;
      return await openSocket({ host: address, port }, signal, { timeoutMs, lendsChunks });
    } catch (error) {
      signal.throwIfAborted();
      failures.push(error);
    }
  }
  const reasons = failures.map((failure) => (failure as Error).message).join('; ');
  throw new MqttConnectionError('MQTT_CONNECT_FAILED', `cannot connect to ${label}: ${reasons}`, 'not-sent', {
    cause: failures.length === 1 ? failures[0] : new AggregateError(failures),
  });
}

async function resolve(host: string, label: string, signal: AbortSignal): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    const found = await untilAborted(lookup(host, { all: true }), signal);
    return found.map(({ address }) => address);
  } catch (cause) {
    signal.throwIfAborted();
    throw new MqttConnectionError(
      'MQTT_CONNECT_FAILED',
      `cannot resolve the host of ${label}: ${(cause as Error).message}`,
      'not-sent',
      { cause },
    );
  }
}
