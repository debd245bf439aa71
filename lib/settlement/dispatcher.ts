import type { LoggerService } from '@nestjs/common';
import { LinkedList } from '../eventloop/admission/linked-list.js';
import type { IncomingMessage } from '../eventloop/messages.js';
import type { LogLimiter } from '../mqtt.logging.js';
import type { MqttDecodeError } from '../mqtt.errors.js';
import type { RegisteredHandler } from '../routing/handler.js';
import type { Router } from '../routing/router.js';
import { noMessageHandler } from '../serialization/envelope.js';
import { autoCodec, type PayloadCodec } from '../serialization/codec.js';
import type { IncomingCall, ReplyTarget } from '../serialization/incoming.js';
import { HandlerRun } from './handler-run.js';
import { MessageSettlement } from './message-settlement.js';
import type { RunEnvironment } from './run-environment.js';

/** What the dispatcher needs of its server, beside what handler runs need. @internal */
export interface DispatcherHost extends Omit<RunEnvironment, 'runEnded' | 'drainDeadlineMs'> {
  readonly logger: LoggerService;
  readonly limiter: LogLimiter;
  unmatched(message: IncomingMessage): void;
  undecodable(message: IncomingMessage, error: MqttDecodeError): void;
}

/**
 * Runs the handlers of a message and settles it: what it returns fulfils when all of them are done and rejects when one
 * has failed.
 *
 * @internal
 */
export class Dispatcher {
  readonly #router: Router;
  readonly #host: DispatcherHost;
  readonly #environment: RunEnvironment;
  /** Messages whose handlers have not all ended. */
  readonly #open = new LinkedList<MessageSettlement>();
  #running = 0;
  #unmatched = 0;
  #idle: (() => void) | undefined;

  constructor(router: Router, host: DispatcherHost) {
    this.#router = router;
    this.#host = host;
    this.#environment = { ...host, drainDeadlineMs: Infinity, runEnded: () => this.#running-- };
  }

  /** Handler runs that are not done: working, waiting for their turn, for a retry, or to be settled by hand. */
  get running(): number {
    return this.#running;
  }

  /** Messages that no handler matched. */
  get unmatched(): number {
    return this.#unmatched;
  }

  /** @param isReply - the client has taken the message already */
  dispatch(message: IncomingMessage, isReply: boolean): unknown {
    const matching = this.#router.match(message.topic, message.properties?.subscriptionIdentifiers);
    if (matching.length === 0) return isReply ? undefined : this.#nobody(message);
    const call = this.#read(message, matching[0]!.codec);
    const others = haveOneCodec(matching) ? undefined : this.#readEach(message, matching, call);
    const asked = others === undefined ? call.reply : firstReply(others.values());
    const responder = asked === undefined ? undefined : this.#router.responder(matching);
    if (asked !== undefined && responder === undefined) this.#nobodyAnswers(message);

    const handlers = asked === undefined ? this.#router.eventHandlers(matching) : matching;
    if (handlers.length === 0) return undefined;
    let deciders = 0;
    for (const handler of handlers) if (handler.settlement.hasSay) deciders++;
    const settlement = new MessageSettlement(message, deciders, handlers.length, this.#ended);
    this.#open.push(settlement);
    this.#running += handlers.length;
    for (const handler of handlers) {
      const own = others?.get(handler.codec) ?? call;
      const reply = handler === responder ? (own.reply ?? asked) : undefined;
      new HandlerRun(this.#environment, settlement, handler, own, reply).begin();
    }
    return settlement;
  }

  /**
   * Resolves when no handler runs and none waits. What waits for something later than the deadline is given up now.
   * From now on no handler begins with a message that the broker still has.
   */
  async drain(timeoutMs: number): Promise<void> {
    const { alarms, clock } = this.#host;
    const deadlineMs = (this.#environment.drainDeadlineMs = clock.now() + timeoutMs);
    for (const alarm of alarms.pending()) if (alarm instanceof HandlerRun) alarm.leaveIfWaitingBeyond(deadlineMs);
    if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Waits no longer: the broker keeps what is not acknowledged, and results that still come are ignored. */
  abandon(): void {
    const { alarms, report } = this.#host;
    for (const alarm of alarms.pending()) if (alarm instanceof HandlerRun) alarm.stopWaiting();
    for (const settlement of this.#open) {
      if (settlement.abandon()) report.counters.left++;
      else report.counters.lost++;
    }
    alarms.stop();
  }

  readonly #ended = (settlement: MessageSettlement): void => {
    this.#open.remove(settlement);
    if (this.#open.size === 0) this.#idle?.();
  };

  #read(message: IncomingMessage, codec: PayloadCodec): IncomingCall {
    const call = this.#host.calls.read(message, codec);
    if (call.undecodable !== undefined) this.#host.undecodable(message, call.undecodable);
    return call;
  }

  /** Handlers with the same codec share what it decodes. */
  #readEach(
    message: IncomingMessage,
    handlers: readonly RegisteredHandler[],
    first: IncomingCall,
  ): ReadonlyMap<PayloadCodec, IncomingCall> {
    const calls = new Map([[handlers[0]!.codec, first]]);
    for (const { codec } of handlers) if (!calls.has(codec)) calls.set(codec, this.#read(message, codec));
    return calls;
  }

  #nobody(message: IncomingMessage): unknown {
    // A late copy for a subscription that has ended; the handlers that are left have copies of their own.
    if (this.#router.match(message.topic).length > 0) return undefined;
    this.#unmatched++;
    this.#host.unmatched(message);
    const suffix = this.#host.limiter.admit('unmatched messages');
    if (suffix !== undefined) {
      this.#host.logger.warn(
        `no handler matches "${message.topic}": the message is ignored; it may have been under way when its handler was unsubscribed; otherwise declare one, or remove the subscription that an earlier session has left${suffix}`,
      );
    }
    const { reply } = this.#host.calls.read(message, autoCodec);
    return reply && this.#host.replies.send(reply, { status: 'error', err: noMessageHandler });
  }

  /** Event handlers of a request may be mere observers; another service may well answer. */
  #nobodyAnswers(message: IncomingMessage): void {
    const suffix = this.#host.limiter.admit('unanswered requests');
    if (suffix !== undefined) {
      this.#host.logger.warn(
        `request on "${message.topic}" matches event handlers only: nobody answers it here; use @MqttMessage to answer, or emit() to send an event${suffix}`,
      );
    }
  }
}

function haveOneCodec(handlers: readonly RegisteredHandler[]): boolean {
  if (handlers.length === 1) return true;
  const codec = handlers[0]?.codec;
  for (const handler of handlers) if (handler.codec !== codec) return false;
  return true;
}

function firstReply(calls: Iterable<IncomingCall>): ReplyTarget | undefined {
  for (const { reply } of calls) if (reply !== undefined) return reply;
  return undefined;
}
