import type { InjectionToken, ModuleMetadata, OptionalFactoryDependency, Type } from '@nestjs/common';
import type { QoS } from '../eventloop/messages.js';
import type { EventLoopOptions } from '../eventloop/options.js';
import type { MqttCodecOption, MqttPayloadOptions } from './codec.interface.js';
import type { MqttPresenceOptions } from './presence.interface.js';
import type { MqttTracing } from './tracing.interface.js';
import type { MqttSettlementOptions } from './settlement-options.interface.js';

/**
 * Where a client expects replies to its requests.
 *
 * `private`: in an inbox of its own, subscribed to once. Every peer that uses this package answers there, and so does
 * every MQTT 5 device that knows response topics.
 * `builtin`: on `<topic>/reply`, where Nest's built-in MQTT server answers.
 * `auto`: in both, until the first reply to a topic shows which; the other is given up then.
 *
 * @publicApi
 */
export type MqttReplyMode = 'auto' | 'private' | 'builtin';

/**
 * Options of the event loop, and those of the server and the client that share it.
 *
 * Settlement options (`acknowledge`, `concurrency`, `ordering`, `handlerTimeoutMs`, `retry`, `deadLetter`, `onFailure`) are the
 * defaults of the handlers; so are `codec` and `onUndecodable`, and `codec` is that of the client too.
 *
 * @publicApi
 */
export interface MqttModuleOptions
  extends Omit<EventLoopOptions, 'acknowledge'>, MqttSettlementOptions, MqttPayloadOptions {
  /**
   * Codecs that a message's MQTT 5 content type may select instead of the handler's or the request's: the sender then has the
   * choice, among these. Default: none.
   */
  readonly contentTypeCodecs?: readonly MqttCodecOption[] | undefined;
  /** Tells others whether this application is there. Not together with `will`. Default: it tells nobody. */
  readonly presence?: MqttPresenceOptions | undefined;
  /**
   * What a subscription does that the broker refuses or cannot make. `report` (default): a line in the log and the event
   * `subscription-refused`. `fail`: the start fails as well, with all of them, where the broker can be reached by then.
   */
  readonly onSubscriptionRefused?: 'fail' | 'report' | undefined;
  /** The QoS of handlers' subscriptions: the most that messages are delivered with. Default 1. */
  readonly subscribeQos?: QoS | undefined;
  /**
   * The group of a shared subscription for every handler, so that each message goes to one of the processes that name the same
   * group; needs a broker that shares. Handlers with a `share` or a `$share/…` pattern of their own keep it. Default: none.
   */
  readonly share?: string | undefined;
  /**
   * What patterns that are functions are called with: configuration, usually, through `registerAsync`. Default: undefined.
   */
  readonly patternValues?: unknown;
  /**
   * Comes, with a `/`, before every topic that handlers, the client, dead letters, `presence` and `inboxPrefix` name, except those that
   * begin with `$` or are declared `absolute`. No wildcards, not ending in `/`. Messages keep their whole topic. Default: none.
   */
  readonly topicPrefix?: string | undefined;
  /**
   * How many messages all handlers together work on at once, 1 to 65 535. `receiveMaximum`, which is how much of
   * the backlog the broker hands over, is then at least twice as much unless it is given. Default: no limit.
   */
  readonly serverConcurrency?: number | undefined;
  /** The QoS of requests. From 1 on an MQTT 5 broker tells at once when nobody listens. Default 1. */
  readonly requestQos?: QoS | undefined;
  /** How long a request waits for its reply, or for the next one of a stream; 0 = for ever. At most 86 400 000. Default 30 000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Requests that may wait for replies at once, 1 to 10 000 000; further ones fail. Default 65 536. */
  readonly maxPendingRequests?: number | undefined;
  /** Default `auto`. */
  readonly replyMode?: MqttReplyMode | undefined;
  /** The private inbox is `<inboxPrefix>/<random>`. Default `nestjs-rumqtt/inbox`. */
  readonly inboxPrefix?: string | undefined;
  /**
   * How long a shutdown waits for handlers and for what is queued, 0 to 3 600 000. When handlers use it up, what is queued
   * gets another second. Default 10 000.
   */
  readonly drainTimeoutMs?: number | undefined;
  /** Spans around what is sent and handled: `openTelemetry()` of `nestjs-rumqtt/opentelemetry`. Default: none. */
  readonly tracing?: MqttTracing | undefined;
}

/** What tells registrations apart. @publicApi */
export interface MqttModuleExtras {
  /** The name of the registration; for applications that talk to several brokers. */
  readonly name?: string | undefined;
  /** Whether other modules can inject the client without importing this one. Default false. */
  readonly isGlobal?: boolean | undefined;
}

/** @publicApi */
export interface MqttOptionsFactory {
  createMqttOptions(): MqttModuleOptions | Promise<MqttModuleOptions>;
}

/** Exactly one of `useFactory`, `useClass` and `useExisting`. @publicApi */
export interface MqttModuleAsyncOptions extends MqttModuleExtras, Pick<ModuleMetadata, 'imports'> {
  readonly useFactory?: (...dependencies: never[]) => MqttModuleOptions | Promise<MqttModuleOptions>;
  /** What `useFactory` is called with. */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useClass?: Type<MqttOptionsFactory>;
  readonly useExisting?: InjectionToken<MqttOptionsFactory>;
}
