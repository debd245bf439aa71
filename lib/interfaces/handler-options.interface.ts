import type { AcknowledgeMode } from '../eventloop/options.js';
import type { SubscribeOptions } from '../eventloop/messages.js';

/**
 * How a handler's messages are subscribed and settled. Travels as pattern extras, so Nest's own
 * `@EventPattern(pattern, options)` and `@MessagePattern(pattern, options)` understand it as well.
 *
 * Handlers with the same filter share one subscription: the highest `qos` of them, `noLocal` only if all ask for it,
 * `retainAsPublished` if any does, the lowest `retainHandling`.
 *
 * @publicApi
 */
export interface MqttHandlerOptions extends SubscribeOptions {
  /** The group of a shared subscription: the broker gives each message to one member. The same as `$share/group/…` in the pattern. */
  readonly share?: string | undefined;
  /**
   * When this handler's part of the acknowledgement is done. A message is acknowledged when that holds for all of its handlers.
   * Default: the module's `acknowledge`.
   */
  readonly acknowledge?: AcknowledgeMode | undefined;
  /**
   * How many messages this handler works on at once, 1 to 65 535; the others wait in order of arrival.
   * The line cannot grow without limit: `receiveMaximum` and `incomingCapacity` bound the messages that are not settled.
   * Default: the module's `concurrency`.
   */
  readonly concurrency?: number | undefined;
}

/** @publicApi */
export interface MqttDecoratorOptions extends MqttHandlerOptions {
  /** The registration (`MqttModule.register({ name })`) whose messages are meant. Default: those of every registration. */
  readonly name?: string | undefined;
}

/**
 * A topic filter with optional wildcard names (`plants/+plant/#rest`), or one of Nest's object patterns, whose topic is its JSON.
 *
 * @publicApi
 */
export type MqttPattern = string | number | { readonly [key: string]: MqttPattern };
