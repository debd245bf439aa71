import { Logger } from '@nestjs/common';
import { MqttStateError } from './eventloop/errors.js';
import type { EventLoop } from './eventloop/event-loop.js';
import type { ConnectedEvent, DisconnectedEvent } from './eventloop/events.js';

const burst = 10;
const refillMs = 1_000;
const mostKeys = 1_000;

/**
 * Lets ten lines of a kind pass at once and one more each second, so that a failure that repeats cannot flood the log.
 *
 * @internal
 */
export class LogLimiter {
  readonly #kinds = new Map<string, { tokens: number; sinceMs: number; suppressed: number }>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** What to add to the line, or undefined if the line is to be left out. */
  admit(kind: string): string | undefined {
    const nowMs = this.now();
    let state = this.#kinds.get(kind);
    if (state === undefined) {
      // Kinds come from patterns, which are few; this only keeps a mistake from growing without limit.
      if (this.#kinds.size >= mostKeys) this.#kinds.clear();
      this.#kinds.set(kind, (state = { tokens: burst, sinceMs: nowMs, suppressed: 0 }));
    }
    const refilled = Math.floor((nowMs - state.sinceMs) / refillMs);
    if (refilled > 0) {
      state.tokens = Math.min(burst, state.tokens + refilled);
      state.sinceMs += refilled * refillMs;
    }
    if (state.tokens === 0) {
      state.suppressed++;
      return undefined;
    }
    state.tokens--;
    const { suppressed } = state;
    state.suppressed = 0;
    return suppressed === 0 ? '' : ` (and ${suppressed} more like this)`;
  }
}

/**
 * One line for each change of the connection: made, lost and when it is tried again, restored, given up. And one for each
 * refused subscription. No credentials, no payloads: the loop's events carry none.
 *
 * @internal
 */
export function logConnection(loop: EventLoop, name: string): void {
  const logger = new Logger(name === 'default' ? 'MqttConnection' : `MqttConnection:${name}`);
  const limiter = new LogLimiter();
  let wasConnected = false;
  let isConnected = false;
  loop.on('connected', (event) => {
    logger.log(describeConnection(event, wasConnected));
    wasConnected = isConnected = true;
  });
  loop.on('disconnected', (event) => {
    // On demand: `paused`, `closed` or `connected` tells the rest.
    if (event.cause instanceof MqttStateError) return;
    const suffix = limiter.admit(isConnected ? 'lost' : event.cause.code);
    if (suffix !== undefined) logger.warn(describeLoss(event, isConnected) + suffix);
    isConnected = false;
  });
  loop.on('paused', () => logger.log('connection paused'));
  loop.on('credentials-renewed', ({ by }) => {
    logger.log(by === 'reconnect' ? 'credentials renewed; connecting again with them' : 'credentials renewed');
  });
  loop.on('credentials-renewal-failed', ({ cause, willRetryInMs, expiresAt }) => {
    const suffix = limiter.admit('renewal');
    const next = willRetryInMs === undefined ? 'no further try' : `next try in ${Math.round(willRetryInMs)} ms`;
    if (suffix === undefined) return;
    logger.warn(
      `credentials could not be renewed: ${cause.message}; ${next}, the present ones expire at ${expiresAt.toISOString()}${suffix}`,
    );
  });
  loop.on('subscription-refused', ({ filter, reason }) => {
    logger.error(
      `the broker refused the subscription "${filter}" (${reason}): its handlers receive nothing; check the broker's access rules and limits`,
    );
  });
  loop.on('message-dropped', ({ direction, topic, reason }) => {
    const suffix = limiter.admit(`dropped ${direction}`);
    if (suffix !== undefined) logger.warn(`${direction} message on "${topic}" dropped (${reason})${suffix}`);
  });
  loop.on('closed', ({ cause }) => {
    if (cause === undefined) logger.log('connection closed');
    else logger.error(`connection given up: ${cause.message}`);
  });
}

function describeConnection({ negotiated, sessionPresent }: ConnectedEvent, again: boolean): string {
  const version = negotiated.protocolVersion === 5 ? 'MQTT 5' : 'MQTT 3.1.1';
  return (
    `${again ? 'connection restored' : 'connected'} to ${negotiated.server} ` +
    `(${version}, client "${negotiated.clientId}"${sessionPresent ? ', session resumed' : ''})`
  );
}

function describeLoss({ cause, willRetryInMs }: DisconnectedEvent, wasConnected: boolean): string {
  const what = wasConnected ? 'connection lost' : 'connection attempt failed';
  const next = willRetryInMs === undefined ? 'no further attempt' : `next attempt in ${Math.round(willRetryInMs)} ms`;
  return `${what}: ${cause.message}; ${next}`;
}
