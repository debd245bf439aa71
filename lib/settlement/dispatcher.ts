import type { LoggerService } from '@nestjs/common';
import { isObservable, type Observable } from 'rxjs';
import type { IncomingMessage } from '../eventloop/messages.js';
import { NOT_CONSUMED } from '../eventloop/session/incoming.js';
import { MqttContext } from '../mqtt.context.js';
import { describeError } from '../mqtt.errors.js';
import { LogLimiter } from '../mqtt.logging.js';
import type { RegisteredHandler } from '../routing/handler.js';
import type { Router } from '../routing/router.js';
import { noMessageHandler, type NormalizePattern } from '../serialization/envelope.js';
import { readCall, type IncomingCall, type ReplyTarget } from '../serialization/incoming.js';
import { AcknowledgementVote } from './acknowledgement-vote.js';
import type { ReplyPublisher } from './reply-publisher.js';

const refused = 0x80;

/** What the dispatcher needs of its server. @internal */
export interface DispatcherHost {
  readonly normalizePattern: NormalizePattern;
  readonly logger: LoggerService;
  /** Nest's processing hooks around `work`; undefined while nobody has set any. */
  processingHooks(): ((context: MqttContext, work: () => Promise<void>) => Promise<void>) | undefined;
  unmatched(message: IncomingMessage): void;
  /** The application shuts down: no handler may begin. */
  isPaused(): boolean;
}

/**
 * Runs the handlers of a message and settles it: the promise it returns resolves when all of them are done and rejects
 * when one has failed, and the event loop acknowledges accordingly.
 *
 * @internal
 */
export class Dispatcher {
  readonly #router: Router;
  readonly #replies: ReplyPublisher;
  readonly #host: DispatcherHost;
  readonly #limiter = new LogLimiter();
  #running = 0;
  #unmatched = 0;
  #failed = 0;
  #idle: (() => void) | undefined;

  constructor(router: Router, replies: ReplyPublisher, host: DispatcherHost) {
    this.#router = router;
    this.#replies = replies;
    this.#host = host;
  }

  /** Handler runs that are not done: working, waiting for their turn, or for an acknowledgement by hand. */
  get running(): number {
    return this.#running;
  }

  /** Messages that no handler matched. */
  get unmatched(): number {
    return this.#unmatched;
  }

  /** Handler runs that failed. */
  get failed(): number {
    return this.#failed;
  }

  /** Resolves when no handler runs. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** @param isReply - the client has taken the message already */
  dispatch(message: IncomingMessage, isReply: boolean): unknown {
    const matching = this.#router.match(message.topic, message.properties?.subscriptionIdentifiers);
    if (matching.length === 0) return isReply ? undefined : this.#nobody(message);
    const call = readCall(message, this.#host.normalizePattern);
    const responder = call.reply === undefined ? undefined : this.#router.responder(matching);
    if (call.reply !== undefined && responder === undefined) this.#nobodyAnswers(message);

    const handlers = call.reply === undefined ? this.#router.eventHandlers(matching) : matching;
    const first = handlers[0];
    if (first === undefined) return undefined;
    if (handlers.length > 1 || first.acknowledge === 'manual')
      return this.#together(message, handlers, call, responder);
    if (first.acknowledge === 'on-receive') message.acknowledge();
    return this.#run(first, message, call, first === responder ? call.reply : undefined, undefined);
  }

  /** A message with several handlers is acknowledged when the last of those is done that did not leave it to the reception. */
  async #together(
    message: IncomingMessage,
    handlers: readonly RegisteredHandler[],
    call: IncomingCall,
    responder: RegisteredHandler | undefined,
  ): Promise<void> {
    const votes: AcknowledgementVote[] = [];
    const decisive: Promise<void>[] = [];
    const others: Promise<void>[] = [];
    for (const handler of handlers) {
      const vote = new AcknowledgementVote();
      const run = this.#run(handler, message, call, handler === responder ? call.reply : undefined, vote);
      if (handler.acknowledge === 'on-receive') others.push(run);
      else {
        votes.push(vote);
        decisive.push(run);
      }
    }
    if (decisive.length === 0) message.acknowledge();
    else {
      const failures = (await Promise.allSettled(decisive)).filter(isRejected);
      if (failures.some(({ reason }) => reason === NOT_CONSUMED)) throw NOT_CONSUMED;
      const hasFailed = failures.length > 0;
      message.acknowledge(Math.max(hasFailed ? refused : 0, ...votes.map((vote) => vote.reasonCode ?? 0)));
    }
    const failure = (await Promise.allSettled([...decisive, ...others])).find(isRejected);
    if (failure !== undefined) throw failure.reason;
  }

  async #run(
    handler: RegisteredHandler,
    message: IncomingMessage,
    call: IncomingCall,
    reply: ReplyTarget | undefined,
    vote: AcknowledgementVote | undefined,
  ): Promise<void> {
    this.#running++;
    try {
      const turn = handler.gate?.enter();
      if (turn !== undefined) await turn;
      try {
        // Its turn came with the end of the application: the broker keeps the message.
        if (turn !== undefined && this.#host.isPaused()) throw NOT_CONSUMED;
        const context = new MqttContext(message, handler.pattern, call.metadata, vote);
        const hooks = this.#host.processingHooks();
        if (hooks === undefined) await this.#call(handler, call.data, context, reply);
        else await hooks(context, () => this.#call(handler, call.data, context, reply));
      } finally {
        handler.gate?.leave();
      }
      if (vote !== undefined && handler.acknowledge === 'manual') await vote.given;
    } finally {
      this.#running--;
      if (this.#running === 0) this.#idle?.();
    }
  }

  async #call(
    handler: RegisteredHandler,
    data: unknown,
    context: MqttContext,
    reply: ReplyTarget | undefined,
  ): Promise<void> {
    if (reply !== undefined) return this.#answer(handler, data, context, reply);
    try {
      const result: unknown = await handler.callback(data, context);
      // A failure does not reject: Nest's exception filters turn it into an observable that errors.
      if (isObservable(result)) await completion(result);
    } catch (error) {
      this.#failed++;
      const suffix = this.#limiter.admit(handler.pattern.declared);
      if (suffix !== undefined) {
        this.#host.logger.error(
          `handler of "${handler.pattern.declared}" failed on "${context.getTopic()}": ${describeError(error)}${suffix}`,
        );
      }
      throw error;
    }
  }

  /** An error is an answer too: the message is settled when the requester has been told. */
  async #answer(handler: RegisteredHandler, data: unknown, context: MqttContext, reply: ReplyTarget): Promise<void> {
    let result: unknown;
    try {
      result = await handler.callback(data, context);
    } catch (err) {
      return this.#replies.send(reply, { err, isDisposed: true });
    }
    if (isObservable(result)) return this.#replies.stream(reply, result);
    return this.#replies.send(reply, { response: result, isDisposed: true });
  }

  #nobody(message: IncomingMessage): unknown {
    this.#unmatched++;
    this.#host.unmatched(message);
    const suffix = this.#limiter.admit('unmatched');
    if (suffix !== undefined) {
      this.#host.logger.warn(
        `no handler matches "${message.topic}": the message is ignored; declare one, or remove the subscription that an earlier session has left${suffix}`,
      );
    }
    const { reply } = readCall(message, this.#host.normalizePattern);
    return reply && this.#replies.send(reply, { status: 'error', err: noMessageHandler });
  }

  /** Event handlers of a request may be mere observers; another service may well answer. */
  #nobodyAnswers(message: IncomingMessage): void {
    const suffix = this.#limiter.admit('unanswered');
    if (suffix !== undefined) {
      this.#host.logger.warn(
        `request on "${message.topic}" matches event handlers only: nobody answers it here; use @MqttMessage to answer, or emit() to send an event${suffix}`,
      );
    }
  }
}

function completion(source: Observable<unknown>): Promise<void> {
  return new Promise((resolve, reject) => source.subscribe({ error: reject, complete: resolve }));
}

function isRejected(result: PromiseSettledResult<void>): result is PromiseRejectedResult {
  return result.status === 'rejected';
}
