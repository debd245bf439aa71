import type { SubscribeOptions } from '../eventloop/messages.js';
import type { MqttPayloadOptions } from './codec.interface.js';
import type { MqttSettlementOptions } from './settlement-options.interface.js';

/**
 * How a handler's messages are subscribed and settled; what is not given is as in the module's options. Travels as pattern extras, so Nest's own
 * `@EventPattern(pattern, options)` and `@MessagePattern(pattern, options)` understand it as well.
 *
 * Handlers with the same filter share one subscription: the highest `qos` of them, `noLocal` only if all ask for it,
 * `retainAsPublished` if any does, the lowest `retainHandling`.
 *
 * @publicApi
 */
export interface MqttHandlerOptions extends SubscribeOptions, MqttSettlementOptions, MqttPayloadOptions {
  /**
   * The group of a shared subscription: the broker gives each message to one member. The same as `$share/group/…` in the pattern.
   * `false`: every process receives each message, although the module's options name a group. Default: the module's `share`.
   */
  readonly share?: string | false | undefined;
  /**
   * Whether the pattern, and the topic of the handler's dead letters, are complete as they are, without the module's `topicPrefix`.
   * Default false.
   */
  readonly absolute?: boolean | undefined;
  /**
   * What payloads look like, for `describeHandlers()` and the AsyncAPI document. It checks nothing: pipes do. Default: nothing is told.
   */
  readonly payloadSchema?: MqttPayloadSchema | undefined;
}

/**
 * A schema that can be put out as JSON Schema, by the extension of Standard Schema with this name: those of zod 4.2 and later, say.
 *
 * @publicApi
 */
export interface StandardJsonSchema {
  readonly '~standard': {
    readonly vendor: string;
    readonly jsonSchema: { readonly input: (options: { readonly target: string }) => Record<string, unknown> };
  };
}

/** The schema of a payload: a JSON Schema (draft 07), or one that can be put out as such. @publicApi */
export type MqttPayloadSchema = StandardJsonSchema | Readonly<Record<string, unknown>>;

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

/**
 * A topic filter made of the module's `patternValues` when the handler is registered. Annotate the parameter:
 * `(config: SiteConfig) => \`plants/${config.site}/+sensor\``.
 *
 * @publicApi
 */
export type MqttPatternFunction<Values = never> = (values: Values) => string;
