import type { IncomingMessage, QoS } from '../eventloop/messages.js';
import type { AcknowledgeMode } from '../eventloop/options.js';

/**
 * Which messages of a handler run one after the other: `none`, those of one `topic`, or those for which a function
 * returns the same key. Keys run in parallel. A message that waits for a retry holds its key.
 *
 * @publicApi
 */
export type MqttOrdering = 'none' | 'topic' | ((message: IncomingMessage) => string);

/** How a failed handler is tried again. @publicApi */
export interface MqttRetryOptions {
  /** Runs in all, the first one included, 1 to 1 000. Default 5. */
  readonly attempts?: number | undefined;
  /** The ceiling of the first delay, 1 to 86 400 000. Default 1 000. */
  readonly minDelayMs?: number | undefined;
  /** The ceiling of all delays, `minDelayMs` to 86 400 000. Default 60 000. */
  readonly maxDelayMs?: number | undefined;
  /** By how much the ceiling grows each time, 1 to 100. Default 2. */
  readonly factor?: number | undefined;
  /** `full` (default): the delay is uniform between 0 and the ceiling. `none`: it is the ceiling. */
  readonly jitter?: 'full' | 'none' | undefined;
  /**
   * Whether an error is worth another attempt; what is not goes to the next step of the policy at once. It is given what Nest's exception
   * filters have made of the error: the argument of an `RpcException`, and of other errors an object without their text. One that
   * throws, or returns no boolean, counts as false and is logged. `context.retry()` does not ask. Default: every error is.
   */
  readonly when?: ((error: unknown) => boolean) | undefined;
}

/** Where a message goes that no attempt could handle. @publicApi */
export interface MqttDeadLetterOptions {
  /** A topic; `{topic}` in it stands for the topic of the message. Default `dead/{topic}`. */
  readonly topic?: string | undefined;
  /** Default 1. */
  readonly qos?: QoS | undefined;
  /** Default false. */
  readonly retain?: boolean | undefined;
}

/**
 * What becomes of a message whose handler has failed for good.
 *
 * `acknowledge`: it counts as handled. `reject`: it is refused, with 0x80 or the reason code given; MQTT 3.1.1 has no
 * reasons and acknowledges. `leave`: it stays unacknowledged; a broker that keeps the session sends it again on the next
 * connection, which the server makes by itself after `redeliverAfterMs` (1 000 to 86 400 000, default 60 000; 0 = never).
 *
 * @publicApi
 */
export type MqttFailureAction =
  | 'acknowledge'
  | 'reject'
  | 'leave'
  | { readonly action: 'reject'; readonly reasonCode: number }
  | { readonly action: 'leave'; readonly redeliverAfterMs: number };

/**
 * What happens when a handler fails, in this order: it is tried again, the message goes to a dead letter topic, the action
 * is taken. Spread it into the options of a handler or of the module.
 *
 * @publicApi
 */
export interface MqttFailurePolicy {
  /** `false` turns the module's off. Default: no retry. */
  readonly retry?: MqttRetryOptions | false | undefined;
  /** Options, or the topic alone; `false` turns the module's off. Default: none. */
  readonly deadLetter?: MqttDeadLetterOptions | string | false | undefined;
  /** Not needed where a dead letter topic takes the message. Default `reject`. */
  readonly onFailure?: MqttFailureAction | undefined;
}

/** When a handler's messages are settled, and how many of them run at once. @publicApi */
export interface MqttSettlementOptions extends MqttFailurePolicy {
  /**
   * When a handler's part of the acknowledgement is done: `on-receive`, `after-handler` (default: the handler has succeeded, a
   * stream it returned has ended, its reply was sent), `manual` (the handler calls `context.acknowledge()`, `reject()` or
   * `retry()`). A message is acknowledged when that holds for all of its handlers.
   */
  readonly acknowledge?: AcknowledgeMode | undefined;
  /**
   * How many messages each handler works on at once, 1 to 65 535; the others wait in order of arrival. The line cannot grow
   * without limit: `receiveMaximum` and `incomingCapacity` bound the messages that are not settled. Default: no limit.
   */
  readonly concurrency?: number | undefined;
  /** Default `none`. */
  readonly ordering?: MqttOrdering | undefined;
  /**
   * A handler that has not settled by then has failed: what it does later is ignored and counted, 1 to 86 400 000;
   * 0 (default) = no limit. For `manual` handlers the time until they return counts.
   */
  readonly handlerTimeoutMs?: number | undefined;
}
