import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../eventloop/clock.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import type { IncomingMessage } from '../eventloop/messages.js';
import { describeError } from '../mqtt.errors.js';
import { LogLimiter } from '../mqtt.logging.js';
import type { NestOptions } from '../mqtt.options.js';
import type { Router } from '../routing/router.js';
import type { NormalizePattern } from '../serialization/envelope.js';
import { CallReader } from '../serialization/incoming.js';
import { Alarms } from '../eventloop/alarms.js';
import type { TracedSends } from '../telemetry/traced-sends.js';
import { ConcurrencyGate } from './concurrency-gate.js';
import { DeadLetterPublisher } from './dead-letters.js';
import { Dispatcher, type DispatcherHost } from './dispatcher.js';
import { OutcomeReport, type MqttSettlementStats } from './outcome-report.js';
import { Redelivery } from './redelivery.js';
import { ReplyPublisher } from './reply-publisher.js';

/** What the runtime needs of its server. @internal */
export type RuntimeHost = Pick<
  DispatcherHost,
  'server' | 'clock' | 'random' | 'isPaused' | 'processingHooks' | 'unmatched' | 'undecodable'
> & { readonly normalizePattern: NormalizePattern; readonly tracedSends?: TracedSends | undefined };

/** What of the event loop is needed. @internal */
export type RuntimeLoop = Pick<EventLoop, 'publish' | 'enqueue' | 'negotiated' | 'reconnect' | 'on'>;

/** @internal */
export type RuntimeOptions = Pick<
  NestOptions,
  'serverConcurrency' | 'drainTimeoutMs' | 'isSessionResumed' | 'contentTypeCodecs'
>;

/**
 * All that runs handlers, put together: the dispatcher, replies, retries, dead letters, and their shutdown.
 *
 * @internal
 */
export class HandlerRuntime {
  readonly #options: RuntimeOptions;
  readonly #logger: LoggerService;
  readonly #limiter: LogLimiter;
  readonly #clock: Clock;
  readonly #report: OutcomeReport;
  readonly #redelivery: Redelivery;
  readonly #dispatcher: Dispatcher;
  #failedReplies = 0;
  #protocolVersion: 4 | 5 | undefined;

  constructor(loop: RuntimeLoop, router: Router, options: RuntimeOptions, logger: LoggerService, host: RuntimeHost) {
    this.#options = options;
    this.#logger = logger;
    const { clock } = host;
    this.#clock = clock;
    this.#limiter = new LogLimiter(logger, clock);
    this.#report = new OutcomeReport(logger, this.#limiter);
    const redelivery = (this.#redelivery = new Redelivery(loop, clock, logger));
    const { serverConcurrency, contentTypeCodecs } = options;
    loop.on('connected', () => (this.#protocolVersion = loop.negotiated?.protocolVersion));
    this.#dispatcher = new Dispatcher(router, {
      ...host,
      logger,
      limiter: this.#limiter,
      calls: new CallReader(host.normalizePattern, contentTypeCodecs),
      alarms: new Alarms(clock),
      replies: new ReplyPublisher(loop, ({ topic }, error) => this.#replyFailed(topic, error), host.tracedSends),
      deadLetters: new DeadLetterPublisher(loop, host.tracedSends),
      report: this.#report,
      protocolVersion: () => this.#protocolVersion,
      gate: serverConcurrency === undefined ? undefined : new ConcurrencyGate(serverConcurrency),
      messageLeft: (redeliverAfterMs) => redelivery.messageLeft(redeliverAfterMs),
    });
  }

  dispatch(message: IncomingMessage, isReply: boolean): unknown {
    return this.#dispatcher.dispatch(message, isReply);
  }

  stats(): MqttSettlementStats & { running: number; unmatched: number; failedReplies: number } {
    const { running, unmatched } = this.#dispatcher;
    return { ...this.#report.counters, running, unmatched, failedReplies: this.#failedReplies };
  }

  /**
   * Lets handlers and retries finish within the deadline. Whatever has not by then is left to the broker, or lost where the
   * broker does not have it any more.
   *
   * @param others - what the shutdown waits for besides, within the same deadline
   */
  async close(others: Promise<unknown> | undefined): Promise<void> {
    const { drainTimeoutMs } = this.#options;
    const { left, lost } = this.#report.counters;
    await this.#withinDeadline(Promise.all([others, this.#dispatcher.drain(drainTimeoutMs)]), drainTimeoutMs);
    const { running } = this.#dispatcher;
    this.#dispatcher.abandon();
    this.#redelivery.stop();
    this.#limiter.flush();
    const { counters } = this.#report;
    this.#tellWhatIsLeft(running, counters.left - left, counters.lost - lost);
  }

  #withinDeadline(drained: Promise<unknown>, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.startTimer(resolve, timeoutMs);
      drained.then(() => resolve(), reject).finally(() => timer.cancel());
    });
  }

  #tellWhatIsLeft(running: number, left: number, lost: number): void {
    const { drainTimeoutMs, isSessionResumed } = this.#options;
    const parts: string[] = [];
    if (running > 0) {
      parts.push(`${running} handlers still run after ${drainTimeoutMs} ms: raise drainTimeoutMs if they need longer`);
    }
    if (left > 0) {
      const fate = isSessionResumed ? '' : ', which forgets them with the session: clean: false makes it keep both';
      parts.push(`${left} messages are left to the broker${fate}`);
    }
    if (lost > 0) parts.push(`${lost} messages are lost: they came with QoS 0 or were acknowledged on receipt`);
    if (parts.length > 0) this.#logger.warn(parts.join('; '));
  }

  #replyFailed(topic: string, error: unknown): void {
    this.#failedReplies++;
    const suffix = this.#limiter.admit('replies that could not be sent');
    if (suffix === undefined) return;
    this.#logger.error(`reply on "${topic}" could not be sent: ${describeError(error)}${suffix}`);
  }
}
