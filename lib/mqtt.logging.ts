import { Logger, type LoggerService } from '@nestjs/common';
import { systemClock, type Clock, type Timer } from './eventloop/clock.js';
import { MqttStateError } from './eventloop/errors.js';
import type { EventLoop } from './eventloop/event-loop.js';
import type { ConnectedEvent, DisconnectedEvent } from './eventloop/events.js';

const burst = 10;
const refillMs = 1_000;
const mostKinds = 1_000;
/** Longer than a refill: a flood that goes on tells the count itself, with the line it is allowed each second. */
const quietMs = 2_000;

/** The system clock, but its timers keep no process alive. */
const unrefClock: Clock = {
  ...systemClock,
  startTimer(callback, delayMs) {
    const handle = setTimeout(callback, delayMs).unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Lets ten lines of a kind pass at once and one more each second, so that a failure that repeats cannot flood the log. How many were
 * left out is told by the next line of the kind or, when none comes, by a line of its own.
 *
 * @internal
 */
export class LogLimiter {
  readonly #logger: Pick<LoggerService, 'warn'>;
  readonly #clock: Clock;
  readonly #kinds = new Map<string, { tokens: number; sinceMs: number; suppressed: number; suppressedAtMs: number }>();
  /** Kinds that have left out lines; while there are some, there is a timer. */
  readonly #suppressing = new Set<string>();
  #timer: Timer | undefined;

  constructor(logger: Pick<LoggerService, 'warn'>, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock === systemClock ? unrefClock : clock;
  }

  /**
   * @param kind - in words that the log may tell: a plural, or the pattern of a handler
   * @returns what to add to the line, or undefined if the line is to be left out
   */
  admit(kind: string): string | undefined {
    const nowMs = this.#clock.now();
    let state = this.#kinds.get(kind);
    if (state === undefined) {
      // Kinds come from patterns, which are few; this only keeps a mistake from growing without limit.
      if (this.#kinds.size >= mostKinds) {
        this.flush();
        this.#kinds.clear();
      }
      this.#kinds.set(kind, (state = { tokens: burst, sinceMs: nowMs, suppressed: 0, suppressedAtMs: nowMs }));
    }
    const refilled = Math.floor((nowMs - state.sinceMs) / refillMs);
    if (refilled > 0) {
      state.tokens = Math.min(burst, state.tokens + refilled);
      state.sinceMs += refilled * refillMs;
    }
    if (state.tokens === 0) {
      state.suppressed++;
      state.suppressedAtMs = nowMs;
      this.#suppressing.add(kind);
      this.#timer ??= this.#clock.startTimer(this.#tellWhatStopped, quietMs);
      return undefined;
    }
    state.tokens--;
    const { suppressed } = state;
    if (suppressed === 0) return '';
    this.#forget(kind);
    return ` (and ${suppressed} more like this)`;
  }

  /** Tells at once what was left out; nothing waits any more. */
  flush(): void {
    for (const kind of this.#suppressing) this.#tell(kind);
  }

  readonly #tellWhatStopped = (): void => {
    this.#timer = undefined;
    const latestMs = this.#clock.now() - quietMs;
    for (const kind of this.#suppressing) if (this.#kinds.get(kind)!.suppressedAtMs <= latestMs) this.#tell(kind);
    if (this.#suppressing.size > 0) this.#timer = this.#clock.startTimer(this.#tellWhatStopped, quietMs);
  };

  #tell(kind: string): void {
    const { suppressed } = this.#kinds.get(kind)!;
    this.#forget(kind);
    this.#logger.warn(`not logged: ${suppressed} more about ${kind}`);
  }

  #forget(kind: string): void {
    this.#kinds.get(kind)!.suppressed = 0;
    this.#suppressing.delete(kind);
    if (this.#suppressing.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/**
 * One line for each change of the connection: made, lost and when it is tried again, restored, given up. And one for each
 * refused subscription. No credentials, no payloads: the loop's events carry none.
 *
 * @internal
 */
export function logConnection(loop: EventLoop, name: string, clock: Clock): void {
  const logger = new Logger(name === 'default' ? 'MqttConnection' : `MqttConnection:${name}`);
  const limiter = new LogLimiter(logger, clock);
  const write = (level: 'log' | 'warn' | 'error', kind: string, line: string): void => {
    const suffix = limiter.admit(kind);
    if (suffix !== undefined) logger[level](line + suffix);
  };
  let wasConnected = false;
  let isConnected = false;
  loop.on('connected', (event) => {
    write('log', 'connections', describeConnection(event, wasConnected));
    wasConnected = isConnected = true;
  });
  loop.on('disconnected', (event) => {
    // On demand: `paused`, `closed` or `connected` tells the rest.
    if (event.cause instanceof MqttStateError) return;
    const kind = isConnected ? 'lost connections' : `failed connection attempts (${event.cause.code})`;
    write('warn', kind, describeLoss(event, isConnected));
    isConnected = false;
  });
  loop.on('paused', () => write('log', 'pauses', 'connection paused'));
  loop.on('credentials-renewed', ({ by }) => {
    const next = by === 'reconnect' ? '; connecting again with them' : '';
    write('log', 'renewed credentials', `credentials renewed${next}`);
  });
  loop.on('credentials-renewal-failed', ({ cause, willRetryInMs, expiresAt }) => {
    const next = willRetryInMs === undefined ? 'no further try' : `next try in ${Math.round(willRetryInMs)} ms`;
    write(
      'warn',
      'credentials that could not be renewed',
      `credentials could not be renewed: ${cause.message}; ${next}, the present ones expire at ${expiresAt.toISOString()}`,
    );
  });
  loop.on('subscription-refused', ({ filter, reason }) => {
    write(
      'error',
      // Each filter for itself: a broker that refuses many at once is to be told of all of them.
      `the refused subscription "${filter}"`,
      `the broker refused the subscription "${filter}" (${reason}): its handlers receive nothing; check the broker's access rules and limits`,
    );
  });
  loop.on('message-dropped', ({ direction, topic, reason }) => {
    const suffix = limiter.admit(droppedKinds[direction]);
    if (suffix !== undefined) logger.warn(`${direction} message on "${topic}" dropped (${reason})${suffix}`);
  });
  loop.on('closed', ({ cause }) => {
    limiter.flush();
    if (cause === undefined) logger.log('connection closed');
    else logger.error(`connection given up: ${cause.message}`);
  });
}

/** Made once: messages are dropped by the thousand. */
const droppedKinds = { incoming: 'dropped incoming messages', outgoing: 'dropped outgoing messages' };

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
