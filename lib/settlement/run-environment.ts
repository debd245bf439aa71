import type { Clock } from '../eventloop/clock.js';
import type { MqttContext } from '../mqtt.context.js';
import type { RegisteredHandler } from '../routing/handler.js';
import type { CallReader } from '../serialization/incoming.js';
import type { Alarms } from '../eventloop/alarms.js';
import type { ConcurrencyGate } from './concurrency-gate.js';
import type { DeadLetterPublisher } from './dead-letters.js';
import type { Failure } from './message-settlement.js';
import type { OutcomeReport } from './outcome-report.js';
import type { ReplyPublisher } from './reply-publisher.js';

/** Nest's processing hooks around `work`, which resolves with the error that a requester was told of, if any. @internal */
export type ProcessingHooks = (
  context: MqttContext,
  work: () => Promise<Failure | undefined>,
  handler: RegisteredHandler,
) => Promise<Failure | undefined>;

/** What handler runs share. @internal */
export interface RunEnvironment {
  /** Whose handlers they are, for those who watch. */
  readonly server: object;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly alarms: Alarms;
  readonly replies: ReplyPublisher;
  readonly deadLetters: DeadLetterPublisher;
  readonly report: OutcomeReport;
  /** The limit of the whole server. */
  readonly gate: ConcurrencyGate | undefined;
  readonly calls: CallReader;
  /** Of the connection, or of the last one; undefined before the first. */
  protocolVersion(): 4 | 5 | undefined;
  /** Undefined while nobody has set any. */
  processingHooks(): ProcessingHooks | undefined;
  /** The application shuts down: no handler may begin. */
  isPaused(): boolean;
  /** What waits longer is left to the broker. Infinite until the application shuts down. */
  drainDeadlineMs: number;
  /** A message was left to the broker, which is to send it again after this time. */
  messageLeft(redeliverAfterMs: number): void;
  runEnded(): void;
}
