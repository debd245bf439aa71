import { MqttClosedError, MqttStateError } from '../eventloop/errors.js';
import type { IncomingMessage } from '../eventloop/messages.js';
import type { MqttDecodeError } from '../mqtt.errors.js';
import type { RegisteredHandler } from '../routing/handler.js';
import type { IncomingCall, ReplyTarget } from '../serialization/incoming.js';
import type { Alarm } from '../eventloop/alarms.js';
import type { Waiter } from './concurrency-gate.js';
import { describeAttempt, describeConsequence } from './consequence.js';
import { HandlerCall, type CallOwner } from './handler-call.js';
import { readKey, type Lane, type LaneMember } from './key-lanes.js';
import type { Decision, Failure, MessageSettlement } from './message-settlement.js';
import { nextRetryMs, retryDelayMs, usualDelays } from './retry-delay.js';
import type { RunEnvironment } from './run-environment.js';
import type { DeadLetterSettings } from './settlement-settings.js';
import { shortened } from './shortened.js';
import { planUndecodable, toRequester, type FailurePlan } from './undecodable.js';

const Stage = { Lane: 0, HandlerGate: 1, ServerGate: 2, Call: 3, Called: 4, RetryWait: 5, BurialWait: 6 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

/**
 * One handler and one message: waits for its turn (in the lane of its key, at the limits of the handler and of the server),
 * calls the handler, tries again, gives the message to the dead letter topic, decides. Holds its lane until the end and its
 * places at the limits only while the handler runs.
 *
 * @internal
 */
export class HandlerRun implements Waiter, LaneMember, Alarm, CallOwner {
  previous: Waiter | undefined = undefined;
  next: Waiter | undefined = undefined;
  lane: Lane | undefined = undefined;
  behind: LaneMember | undefined = undefined;
  dueAtMs = 0;
  heapIndex = -1;
  order = 0;
  /** From 1. */
  attempt = 1;
  readonly #environment: RunEnvironment;
  readonly #settlement: MessageSettlement;
  readonly #handler: RegisteredHandler;
  readonly #reply: ReplyTarget | undefined;
  /** As decoded for the first attempt; decoded again for the others, which must not see what a handler made of it. */
  #call: IncomingCall | undefined;
  #stage: Stage = Stage.Lane;
  #hasWaited = false;
  #isDecided: boolean;
  #failure: Failure | undefined = undefined;
  #deadLetter: DeadLetterSettings | undefined = undefined;
  #burials = 0;
  #hasAnsweredError = false;

  constructor(
    environment: RunEnvironment,
    settlement: MessageSettlement,
    handler: RegisteredHandler,
    call: IncomingCall,
    reply: ReplyTarget | undefined,
  ) {
    this.#environment = environment;
    this.#settlement = settlement;
    this.#handler = handler;
    this.#call = call;
    this.#reply = reply;
    this.#isDecided = !handler.settlement.hasSay;
  }

  get message(): IncomingMessage {
    return this.#settlement.message;
  }

  begin(): void {
    const { lanes, keyOf } = this.#handler.settlement;
    if (lanes !== undefined && keyOf !== undefined) {
      let key: string;
      try {
        key = readKey(keyOf, this.message);
      } catch (error) {
        return this.#giveUp(error);
      }
      this.#stage = Stage.HandlerGate;
      if (!lanes.enter(this, key)) return;
    }
    this.#stage = Stage.HandlerGate;
    this.#advance();
  }

  /** Its turn has come, in its lane or at a limit. */
  proceed(): void {
    this.#hasWaited = true;
    this.#advance();
  }

  ring(): void {
    if (this.#stage === Stage.BurialWait) return this.#bury(this.#deadLetter!);
    this.#environment.report.counters.waitingRetries--;
    this.attempt++;
    this.#stage = Stage.HandlerGate;
    this.#advance();
  }

  // ---- from the call

  /** The handler is done: another one may have its places. */
  release(): void {
    if (this.#stage !== Stage.Call) return;
    this.#stage = Stage.Called;
    this.#environment.gate?.leave();
    this.#handler.settlement.gate?.leave();
  }

  /** The requester was told of an error: for the settlement a success, for the statistics none. */
  answeredError(): void {
    this.#hasAnsweredError = true;
  }

  succeeded(): void {
    this.release();
    this.#countIfLate();
    this.#end(0, undefined);
  }

  failed(error: unknown): void {
    this.#countIfLate();
    this.#call = undefined;
    const delayMs = nextRetryMs(this.#handler, this.attempt, error, this.#environment);
    if (delayMs === undefined) this.#giveUp(error);
    else this.#retryAfter(delayMs);
  }

  /** By hand: at once, whatever the handler goes on to do. */
  decide(method: 'acknowledge' | 'reject', reasonCode: number): void {
    if (method === 'reject') this.#environment.report.counters.rejected++;
    this.#isDecided = true;
    this.#settlement.decide(reasonCode);
  }

  failedAfterDecision(error: unknown): void {
    this.#conclude(error, 0, 'the handler had settled the message by then');
  }

  retryByHand(delayMs: number | undefined): void {
    this.#call = undefined;
    const { retry } = this.#handler.settlement;
    if (retry !== undefined && this.attempt >= retry.attempts) {
      return this.#giveUp(new MqttStateError(`context.retry() was called in the last of ${retry.attempts} attempts`));
    }
    this.#retryAfter(delayMs ?? retryDelayMs(retry ?? usualDelays, this.attempt, this.#environment.random));
  }

  // ---- at shutdown

  /** Waits for something later than the deadline. */
  leaveIfWaitingBeyond(deadlineMs: number): void {
    if (this.heapIndex < 0 || this.dueAtMs <= deadlineMs) return;
    this.stopWaiting();
    this.#leave();
  }

  stopWaiting(): void {
    if (this.heapIndex < 0) return;
    this.#environment.alarms.cancel(this);
    if (this.#stage === Stage.RetryWait) this.#environment.report.counters.waitingRetries--;
  }

  // ---- inside

  #advance(): void {
    const { gate } = this.#handler.settlement;
    if (this.#stage === Stage.HandlerGate) {
      this.#stage = Stage.ServerGate;
      if (gate !== undefined && !gate.enter(this)) return;
    }
    if (this.#stage === Stage.ServerGate) {
      this.#stage = Stage.Call;
      const serverGate = this.#environment.gate;
      if (serverGate !== undefined && !serverGate.enter(this)) return;
    }
    // Later, for those that wait behind it are left as well: not one inside the other.
    if (this.#mayNotBegin()) return queueMicrotask(() => this.#leave());
    const call = this.#call ?? this.#environment.calls.read(this.message, this.#handler.codec);
    const { undecodable } = call;
    if (undecodable !== undefined) return queueMicrotask(() => this.#cannotDecode(undecodable));
    new HandlerCall(this, this.#environment, this.#handler, this.#reply).start(call);
  }

  /** There is nothing to give to the handler. */
  #cannotDecode(error: MqttDecodeError): void {
    this.release();
    const { replies, report } = this.#environment;
    if (this.#reply !== undefined) {
      const told = replies.send(this.#reply, { err: toRequester(error), isDisposed: true });
      return void told.then(() => this.#conclude(error, 0, 'the requester was told'));
    }
    const plan = planUndecodable(this.#handler, this.message, error, report);
    if (plan instanceof Promise) void plan.then((decided) => this.#giveUp(error, decided));
    else this.#giveUp(error, plan);
  }

  /** Its turn came with the end of the application. What the broker does not have any more still runs. */
  #mayNotBegin(): boolean {
    if (this.#settlement.isAbandoned) return true;
    return this.#hasWaited && this.attempt === 1 && !this.#isDecided && this.#environment.isPaused();
  }

  #retryAfter(delayMs: number): void {
    const { alarms, clock, drainDeadlineMs, report } = this.#environment;
    if (this.#settlement.isAbandoned || clock.now() + delayMs > drainDeadlineMs) return this.#leave();
    report.counters.retried++;
    this.#handler.counters.retried++;
    report.counters.waitingRetries++;
    this.#stage = Stage.RetryWait;
    alarms.set(this, delayMs);
  }

  /** There is no further attempt. */
  #giveUp(error: unknown, plan: FailurePlan = this.#handler.settlement): void {
    this.#failure = { error };
    const { deadLetter, onFailure } = plan;
    if (this.#settlement.isAbandoned) return this.#leave();
    if (deadLetter !== undefined && !deadLetter.topic.covers(this.message.topic))
      return this.#bury((this.#deadLetter = deadLetter));
    const { counters } = this.#environment.report;
    const version = this.#environment.protocolVersion();
    const consequence = describeConsequence(this.message, this.#isDecided, onFailure, version);
    if (this.message.qos === 0 || this.#isDecided || onFailure.action === 'acknowledge') {
      return this.#conclude(error, 0, consequence);
    }
    if (onFailure.action === 'reject') {
      counters.rejected++;
      return this.#conclude(error, onFailure.reasonCode, consequence);
    }
    counters.left++;
    this.#conclude(error, 'leave', consequence);
    this.#environment.messageLeft(onFailure.redeliverAfterMs);
  }

  /** The message is acknowledged only when the broker has its dead letter. */
  #bury(settings: DeadLetterSettings): void {
    const { report, deadLetters, calls } = this.#environment;
    const { pattern, codec } = this.#handler;
    const { message, attempt: attempts } = this;
    const topic = settings.topic.of(message.topic);
    const error = this.#failure?.error;
    const { metadata } = calls.read(message, codec);
    const letter = { message, handler: pattern.declared, error, attempts, metadata };
    deadLetters.publish(settings, letter, this.#environment.protocolVersion()).then(
      () => {
        report.counters.deadLettered++;
        this.#conclude(error, 0, `its dead letter is on "${shortened(topic, 300)}"`);
      },
      (cause: unknown) => this.#buryLater(topic, cause),
    );
  }

  /** For as long as it takes: until then the broker has the message. */
  #buryLater(topic: string, cause: unknown): void {
    const { alarms, clock, random, report, drainDeadlineMs } = this.#environment;
    const delayMs = retryDelayMs(usualDelays, ++this.#burials, random);
    const isTooLate = cause instanceof MqttClosedError || clock.now() + delayMs > drainDeadlineMs;
    if (this.#settlement.isAbandoned || isTooLate) return this.#leave();
    report.deadLetterFailed(topic, cause, delayMs);
    this.#stage = Stage.BurialWait;
    alarms.set(this, delayMs);
  }

  #conclude(error: unknown, decision: Decision, consequence: string): void {
    const { pattern, settlement } = this.#handler;
    const attempt = describeAttempt(this.attempt, settlement.retry);
    this.#environment.report.failed(pattern.declared, this.message, attempt, error, consequence);
    this.#end(decision, { error });
  }

  /** The application ends before the handler could. */
  #leave(): void {
    const { counters } = this.#environment.report;
    // What the shutdown did not wait for is counted with its message.
    if (!this.#settlement.isAbandoned) {
      if (this.#isDecided || this.message.qos === 0) counters.lost++;
      else counters.left++;
    }
    this.release();
    this.#end('leave', undefined);
  }

  #countIfLate(): void {
    if (this.#settlement.isAbandoned) this.#environment.report.counters.late++;
  }

  #end(decision: Decision, failure: Failure | undefined): void {
    const { counters } = this.#handler;
    if (failure !== undefined) counters.failed++;
    else if (decision === 'leave' || this.#settlement.isAbandoned) counters.unfinished++;
    else if (this.#hasAnsweredError) counters.answeredErrors++;
    else counters.succeeded++;
    this.#handler.settlement.lanes?.leave(this);
    this.#environment.runEnded();
    // Last: the event loop may go on with another message at once.
    this.#settlement.end(this.#isDecided ? undefined : decision, failure);
  }
}
