import type { OperationOptions } from '../eventloop/messages.js';
import type { MqttContext } from '../mqtt.context.js';
import type { MqttHandlerOptions } from './handler-options.interface.js';

/**
 * A handler of `MqttServer.subscribe`. What it returns, a promise and an observable included, is waited for; a throw is a failure.
 *
 * @publicApi
 */
export type MqttSubscriber<Data = unknown> = (data: Data, context: MqttContext) => unknown;

/**
 * Options of `MqttServer.subscribe`: those of every handler, and how long to wait for the broker.
 *
 * @publicApi
 */
export interface MqttSubscribeOptions extends MqttHandlerOptions, OperationOptions {
  /** `message` handlers answer requests, with what they return. Default `event`. */
  readonly kind?: 'event' | 'message' | undefined;
}

/** A handler that was given to `MqttServer.subscribe`. @publicApi */
export interface MqttSubscription {
  /** As it was given, or as a function made it. */
  readonly pattern: string;
  /**
   * From the call on no further message is given to the handler; what it was given already, retries included, it finishes. Resolves when
   * the broker knows that it is to send less, at once if other handlers need the same or the server is closed. Harmless a second time.
   *
   * @throws MqttRefusedError when the broker does not agree, MqttQueueFullError
   */
  unsubscribe(): Promise<void>;
}
