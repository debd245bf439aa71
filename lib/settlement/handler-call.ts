import { isObservable, Observable, tap } from 'rxjs';
import type { IncomingMessage } from '../eventloop/messages.js';
import { MqttContext, type SettlementByHand } from '../mqtt.context.js';
import { MqttHandlerTimeoutError, MqttSettlementError } from '../mqtt.errors.js';
import type { RegisteredHandler } from '../routing/handler.js';
import type { IncomingCall, ReplyTarget } from '../serialization/incoming.js';
import type { Alarm } from '../eventloop/alarms.js';
import { handlerChannel, type HandlerDiagnostic, type HandlerOutcome } from './handler-diagnostics.js';
import type { Failure } from './message-settlement.js';
import type { RunEnvironment } from './run-environment.js';

const CallState = { Running: 0, Returned: 1, Over: 2 } as const;
type CallState = (typeof CallState)[keyof typeof CallState];

/** The run that a call belongs to. @internal */
export interface CallOwner {
  readonly message: IncomingMessage;
  readonly attempt: number;
  /** The handler is done: another one may have its places. Idempotent. */
  release(): void;
  answeredError(): void;
  succeeded(): void;
  failed(error: unknown): void;
  /** By hand: at once, whatever the handler goes on to do. */
  decide(method: 'acknowledge' | 'reject', reasonCode: number): void;
  failedAfterDecision(error: unknown): void;
  retryByHand(delayMs: number | undefined): void;
}

/** What a handler decided by hand; a retry says when. */
type HandDecision = { readonly kind: 'settled' } | { readonly kind: 'retry'; readonly delayMs: number | undefined };
const settledByHand: HandDecision = { kind: 'settled' };

/**
 * One call of a handler, from its start to the end of what it returned: a value, a promise, a stream. Ends once; what
 * comes after that, because time ran out, is counted and ignored.
 *
 * @internal
 */
export class HandlerCall implements Alarm, SettlementByHand {
  dueAtMs = 0;
  heapIndex = -1;
  order = 0;
  readonly #run: CallOwner;
  readonly #environment: RunEnvironment;
  readonly #handler: RegisteredHandler;
  readonly #reply: ReplyTarget | undefined;
  #state: CallState = CallState.Running;
  #byHand: HandDecision | undefined;
  /** What the requester was told instead of a result. */
  #answeredError: Failure | undefined;
  /** Undefined while nobody listens. */
  #startedAtMs: number | undefined;
  /** What processing hooks wait for. */
  #work: { resolve(answeredError: Failure | undefined): void; reject(error: unknown): void } | undefined;
  /** Ends the stream that the handler returned. */
  #abort: ((error: unknown) => void) | undefined;

  constructor(run: CallOwner, environment: RunEnvironment, handler: RegisteredHandler, reply: ReplyTarget | undefined) {
    this.#run = run;
    this.#environment = environment;
    this.#handler = handler;
    this.#reply = reply;
  }

  start({ data, metadata }: IncomingCall): void {
    const { handlerTimeoutMs } = this.#handler.settlement;
    const context = new MqttContext(this.#run.message, this.#handler.pattern, metadata, this, this.#run.attempt);
    if (handlerTimeoutMs > 0) this.#environment.alarms.set(this, handlerTimeoutMs);
    if (handlerChannel.hasSubscribers) this.#startedAtMs = this.#environment.clock.now();
    const hooks = this.#environment.processingHooks();
    if (hooks === undefined) return this.#invoke(data, context);
    const work = (): Promise<Failure | undefined> =>
      new Promise((resolve, reject) => {
        this.#work = { resolve, reject };
        this.#invoke(data, context);
      });
    hooks(context, work, this.#handler).then(
      () => this.#returned(),
      (error: unknown) => this.#threw(error),
    );
  }

  /** `handlerTimeoutMs` has passed. */
  ring(): void {
    this.#environment.report.counters.timedOut++;
    const { pattern, settlement } = this.#handler;
    const error = new MqttHandlerTimeoutError(pattern.declared, this.#run.message.topic, settlement.handlerTimeoutMs);
    // A stream of replies tells the requester itself, after what it has sent.
    if (this.#abort !== undefined) return this.#abort(error);
    if (this.#reply === undefined) return this.#threw(error);
    const { replies } = this.#environment;
    this.#state = CallState.Over;
    this.#answersError(error);
    this.#tell('answered-error', error);
    void replies.send(this.#reply, { err: error, isDisposed: true }).then(() => this.#run.succeeded());
  }

  /** From `context.acknowledge()` and `context.reject()`. */
  settle(method: 'acknowledge' | 'reject', reasonCode: number): void {
    this.#assertUndecided(method);
    this.#run.decide(method, reasonCode);
    this.#byHand = settledByHand;
    if (this.#state === CallState.Returned) this.#end();
  }

  /** From `context.retry()`. */
  retry(delayMs: number | undefined): void {
    this.#assertUndecided('retry');
    this.#byHand = { kind: 'retry', delayMs };
    if (this.#state === CallState.Returned) this.#end();
  }

  #invoke(data: unknown, context: MqttContext): void {
    let result: unknown;
    try {
      result = this.#handler.callback(data, context);
    } catch (error) {
      // Later, as everything else: whoever called is not done yet.
      result = Promise.reject(error);
    }
    Promise.resolve(result).then(
      (value) => (this.#reply === undefined ? this.#consume(value) : this.#answer(this.#reply, value)),
      (error: unknown) => (this.#reply === undefined ? this.#fail(error) : this.#answerError(this.#reply, error)),
    );
  }

  /** A failure does not reject: Nest's exception filters turn it into an observable that errors. */
  #consume(value: unknown): void {
    if (!isObservable(value) || this.#state === CallState.Over) return this.#succeed();
    const subscription = value.subscribe({
      error: (error: unknown) => this.#fail(error),
      complete: () => this.#succeed(),
    });
    if (this.heapIndex < 0) return;
    this.#abort = (error) => {
      subscription.unsubscribe();
      this.#fail(error);
    };
  }

  /** An error is an answer too: the message is settled when the requester has been told. */
  #answer(reply: ReplyTarget, value: unknown): void {
    if (this.#state === CallState.Over) return this.#succeed();
    const { replies } = this.#environment;
    const sent = isObservable(value)
      ? replies.stream(reply, this.#watched(this.heapIndex < 0 ? value : this.#stoppable(value)))
      : replies.send(reply, { response: value, isDisposed: true });
    void sent.then(() => this.#succeed());
  }

  #answerError(reply: ReplyTarget, err: unknown): void {
    if (this.#state === CallState.Over) return this.#succeed();
    this.#answersError(err);
    void this.#environment.replies.send(reply, { err, isDisposed: true }).then(() => this.#succeed());
  }

  /** The handler's work is done; so is the call, unless hooks have more to do. */
  #succeed(): void {
    if (this.#work === undefined) this.#returned();
    else this.#work.resolve(this.#answeredError);
  }

  #fail(error: unknown): void {
    if (this.#work === undefined) this.#threw(error);
    else this.#work.reject(error);
  }

  #answersError(error: unknown): void {
    this.#answeredError = { error };
    this.#run.answeredError();
  }

  #watched(source: Observable<unknown>): Observable<unknown> {
    return source.pipe(tap({ error: (error: unknown) => this.#answersError(error) }));
  }

  #stoppable(source: Observable<unknown>): Observable<unknown> {
    return new Observable((observer) => {
      this.#abort = (error) => observer.error(error);
      return source.subscribe(observer);
    });
  }

  #returned(): void {
    if (this.#isLate()) return;
    this.#environment.alarms.cancel(this);
    this.#state = CallState.Returned;
    if (this.#answeredError === undefined) this.#tell('succeeded', undefined);
    else this.#tell('answered-error', this.#answeredError.error);
    this.#run.release();
    // Otherwise the decision is yet to come.
    if (this.#handler.settlement.acknowledge !== 'manual' || this.#byHand !== undefined) this.#end();
  }

  #threw(error: unknown): void {
    if (this.#isLate()) return;
    this.#environment.alarms.cancel(this);
    this.#state = CallState.Over;
    this.#tell('failed', error);
    this.#run.release();
    if (this.#byHand === undefined) this.#run.failed(error);
    else if (this.#byHand.kind === 'retry') this.#run.retryByHand(this.#byHand.delayMs);
    else this.#run.failedAfterDecision(error);
  }

  #end(): void {
    this.#state = CallState.Over;
    if (this.#byHand?.kind === 'retry') this.#run.retryByHand(this.#byHand.delayMs);
    else this.#run.succeeded();
  }

  #tell(outcome: HandlerOutcome, error: unknown): void {
    if (this.#startedAtMs === undefined) return;
    const { clock, server } = this.#environment;
    const { message, attempt } = this.#run;
    handlerChannel.publish({
      server,
      pattern: this.#handler.pattern.declared,
      kind: this.#handler.isEvent ? 'event' : 'message',
      topic: message.topic,
      qos: message.qos,
      attempt,
      durationMs: clock.now() - this.#startedAtMs,
      outcome,
      error,
    } satisfies HandlerDiagnostic);
  }

  #isLate(): boolean {
    if (this.#state !== CallState.Over) return false;
    this.#environment.report.counters.late++;
    return true;
  }

  #assertUndecided(method: 'acknowledge' | 'reject' | 'retry'): void {
    const { pattern, settlement } = this.#handler;
    const reason =
      settlement.acknowledge !== 'manual'
        ? 'wrong-mode'
        : method === 'retry' && this.#reply !== undefined
          ? 'request'
          : this.#byHand !== undefined || this.#state === CallState.Over
            ? 'already-settled'
            : undefined;
    if (reason !== undefined) {
      throw new MqttSettlementError(method, reason, pattern.declared, this.#run.message.topic);
    }
  }
}
