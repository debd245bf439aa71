import type { EventLoop } from '../eventloop/event-loop.js';
import type { IncomingMessage, UserProperties } from '../eventloop/messages.js';

/** Something that is sent: by a client, or by the server on behalf of a message. @publicApi */
export interface MqttSendOperation {
  readonly kind: 'publish' | 'request' | 'reply' | 'dead-letter';
  readonly topic: string;
  /** The message that is answered or given up. Of `reply` and `dead-letter`. */
  readonly cause?: IncomingMessage | undefined;
  /** Of the handler that failed, as declared. Of `dead-letter`. */
  readonly pattern?: string | undefined;
  readonly loop: EventLoop;
}

/** A message that a handler is called with. @publicApi */
export interface MqttProcessOperation {
  readonly message: IncomingMessage;
  /** As declared. */
  readonly pattern: string;
  readonly kind: 'event' | 'message';
  /** The group of a shared subscription. */
  readonly share: string | undefined;
  readonly loop: EventLoop;
}

/**
 * Spans around what is sent and handled: the option `tracing`. `openTelemetry()` of `nestjs-rumqtt/opentelemetry` is one.
 *
 * @publicApi
 */
export interface MqttTracing {
  /**
   * @param send - to be called once, at once, with user properties to send along
   * @param ended - when the operation has ended, if not with the promise of `send`
   * @returns what `send` returned
   */
  send<T>(
    operation: MqttSendOperation,
    send: (userProperties: UserProperties) => Promise<T>,
    ended?: (result: T) => Promise<unknown>,
  ): Promise<T>;
  /**
   * @param work - to be called once, at once: calls the handler. Rejects when it fails; resolves with an error when the requester
   *   was told of one
   * @returns what `work` returned
   */
  process<T extends { readonly error: unknown } | undefined>(
    operation: MqttProcessOperation,
    work: () => Promise<T>,
  ): Promise<T>;
}
