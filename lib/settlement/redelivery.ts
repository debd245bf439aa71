import type { LoggerService } from '@nestjs/common';
import type { Clock, Timer } from '../eventloop/clock.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { describeError } from '../mqtt.errors.js';

/**
 * Brokers send unacknowledged messages again on a new connection and at no other time. Until then each of them takes a place
 * of Receive Maximum: so, some time after the first one was left, a new connection is made.
 *
 * @internal
 */
export class Redelivery {
  readonly #loop: Pick<EventLoop, 'reconnect' | 'on'>;
  readonly #clock: Clock;
  readonly #logger: LoggerService;
  #timer: Timer | undefined;
  #dueAtMs = Infinity;
  #left = 0;

  constructor(loop: Pick<EventLoop, 'reconnect' | 'on'>, clock: Clock, logger: LoggerService) {
    this.#loop = loop;
    this.#clock = clock;
    this.#logger = logger;
    // Whatever ended the connection: the next one brings them.
    loop.on('disconnected', () => this.stop());
  }

  /** @param afterMs - 0: not on account of this message */
  messageLeft(afterMs: number): void {
    this.#left++;
    if (afterMs === 0) return;
    const dueAtMs = this.#clock.now() + afterMs;
    if (dueAtMs >= this.#dueAtMs) return;
    this.#timer?.cancel();
    this.#dueAtMs = dueAtMs;
    this.#timer = this.#clock.startTimer(this.#reconnect, afterMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueAtMs = Infinity;
    this.#left = 0;
  }

  readonly #reconnect = (): void => {
    this.#logger.log(`connecting again, so that the broker sends ${this.#left} messages again that were left to it`);
    this.stop();
    this.#loop
      .reconnect()
      .catch((error: unknown) => this.#logger.warn(`connecting again failed: ${describeError(error)}`));
  };
}
