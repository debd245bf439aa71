import type { LoggerService } from '@nestjs/common';
import type { IncomingMessage } from '../eventloop/messages.js';
import { describeError, MqttDecodeError } from '../mqtt.errors.js';
import type { LogLimiter } from '../mqtt.logging.js';
import { shortened } from './shortened.js';

const mostLoggedCharacters = 300;

/** What became of handler runs. @publicApi */
export interface MqttSettlementStats {
  /** Handler runs that failed for good. Errors that were sent to a requester do not count. */
  readonly failed: number;
  /** Messages that were not given to a handler, for they could not be decoded. Counted for each handler. */
  readonly undecodable: number;
  /** Attempts that failed and were followed by another one. */
  readonly retried: number;
  /** Messages that a dead letter topic has taken. */
  readonly deadLettered: number;
  /** Dead letters that could not be published and were tried again. */
  readonly deadLetterFailures: number;
  /** Messages that handlers refused: those of MQTT 3.1.1, which cannot refuse, included. */
  readonly rejected: number;
  /** Messages that were left to the broker, by `onFailure: 'leave'` or at shutdown. */
  readonly left: number;
  /** Messages that a shutdown gave up although the broker does not have them any more: QoS 0, or acknowledged on receipt. */
  readonly lost: number;
  /** Handler runs that took longer than `handlerTimeoutMs`. */
  readonly timedOut: number;
  /** Results that came too late to count: after `handlerTimeoutMs`, or after a shutdown had stopped waiting. */
  readonly late: number;
  /** Gauge: messages that wait for their next attempt. */
  readonly waitingRetries: number;
}

/** Counts what becomes of handler runs, and writes a line for each that fails for good. @internal */
export class OutcomeReport {
  readonly counters = {
    failed: 0,
    undecodable: 0,
    retried: 0,
    deadLettered: 0,
    deadLetterFailures: 0,
    rejected: 0,
    left: 0,
    lost: 0,
    timedOut: 0,
    late: 0,
    waitingRetries: 0,
  } satisfies MqttSettlementStats;
  readonly #logger: LoggerService;
  readonly #limiter: LogLimiter;

  constructor(logger: LoggerService, limiter: LogLimiter) {
    this.#logger = logger;
    this.#limiter = limiter;
  }

  /** @param consequence - what became of the message, and the cure */
  failed(pattern: string, message: IncomingMessage, attempt: string, error: unknown, consequence: string): void {
    if (error instanceof MqttDecodeError) this.counters.undecodable++;
    else this.counters.failed++;
    const suffix = this.#limiter.admit(pattern);
    if (suffix === undefined) return;
    const topic = shortened(message.topic, mostLoggedCharacters);
    const reason = shortened(describeError(error), mostLoggedCharacters);
    this.#logger.error(`handler of "${pattern}" failed on "${topic}"${attempt}: ${reason}; ${consequence}${suffix}`);
  }

  /** @param option - the function that failed; the rest of the failure policy decides instead */
  hookFailed(option: string, pattern: string, error: unknown): void {
    const suffix = this.#limiter.admit(option);
    if (suffix === undefined) return;
    const reason = shortened(describeError(error), mostLoggedCharacters);
    this.#logger.error(
      `${option} of the handler for "${pattern}" failed: ${reason}; the failure policy decides${suffix}`,
    );
  }

  deadLetterFailed(topic: string, error: unknown, delayMs: number): void {
    this.counters.deadLetterFailures++;
    const suffix = this.#limiter.admit('dead letters that could not be published');
    if (suffix === undefined) return;
    const reason = shortened(describeError(error), mostLoggedCharacters);
    this.#logger.error(
      `dead letter on "${shortened(topic, mostLoggedCharacters)}" could not be published: ${reason}; its message stays unacknowledged and it is tried again in ${Math.round(delayMs)} ms: check the access rules of the topic, and maxPacketBytes${suffix}`,
    );
  }
}
