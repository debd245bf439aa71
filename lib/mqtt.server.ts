import { Logger } from '@nestjs/common';
import { Server, type MessageHandler } from '@nestjs/microservices';
import { Emitter } from './eventloop/emitter.js';
import { MqttClosedError } from './eventloop/errors.js';
import type { EventLoop } from './eventloop/event-loop.js';
import type { EventLoopStatus } from './eventloop/events.js';
import type { IncomingMessage } from './eventloop/messages.js';
import type { MqttPattern, MqttPatternFunction } from './interfaces/handler-options.interface.js';
import type { MqttModuleExtras, MqttModuleOptions } from './interfaces/module-options.interface.js';
import type { MqttSubscribeOptions, MqttSubscriber, MqttSubscription } from './interfaces/subscription.interface.js';
import { MqttConnection } from './mqtt.connection.js';
import { getMqttTransportId, reminderMs, reminders } from './mqtt.constants.js';
import { describeError, type MqttDecodeError } from './mqtt.errors.js';
import { forwardStatus, type MqttConnectionEvents } from './mqtt.status.js';
import { HandlerSubscriptions } from './routing/handler-subscriptions.js';
import {
  describeHandler,
  describeHandlerStats,
  type MqttHandlerDescription,
  type MqttHandlerStats,
} from './routing/handler-description.js';
import { HandlerRegistry } from './routing/handler-registry.js';
import { Router } from './routing/router.js';
import { RunTimeHandlers } from './routing/run-time-handlers.js';
import { loadCodecs } from './serialization/codecs.js';
import { HandlerRuntime } from './settlement/handler-runtime.js';
import type { MqttSettlementStats } from './settlement/outcome-report.js';
import type { ProcessingHooks } from './settlement/run-environment.js';
import { tracedServer } from './telemetry/traced-server.js';

/** @publicApi */
export type MqttServerOptions = MqttModuleOptions & Pick<MqttModuleExtras, 'name'>;

type MessageEvents = {
  /** No handler matched the message. */
  unmatched: (message: IncomingMessage) => void;
  /** A codec of its handlers could not decode the message. */
  undecodable: (event: MqttUndecodableEvent) => void;
};

/** @publicApi */
export interface MqttUndecodableEvent {
  readonly message: IncomingMessage;
  readonly error: MqttDecodeError;
}

/** The events of `MqttServer.on`: those of the event loop, and messages that no handler was given. @publicApi */
export type MqttServerEvents = MqttConnectionEvents & MessageEvents;

/** Gauges and counters of a server. @publicApi */
export interface MqttServerStats extends MqttSettlementStats {
  readonly handlers: number;
  /** Handler runs that are not done: working, waiting for their turn or a retry, or to be settled by hand. */
  readonly running: number;
  /** Messages that no handler matched. */
  readonly unmatched: number;
  /** Replies that could not be sent as they were. */
  readonly failedReplies: number;
}

/**
 * The transport strategy: runs `@EventPattern` and `@MessagePattern` handlers.
 *
 * @example `app.connectMicroservice({ inject: [MqttServer], useFactory: (server: MqttServer) => ({ strategy: server }) })`
 * @publicApi
 */
export class MqttServer extends Server<MqttServerEvents, EventLoopStatus> {
  override transportId: symbol;
  protected override readonly logger = new Logger(MqttServer.name);
  readonly #connection: MqttConnection;
  readonly #router = new Router();
  readonly #registry: HandlerRegistry;
  readonly #subscriptions: HandlerSubscriptions;
  readonly #runTimeHandlers: RunTimeHandlers;
  readonly #runtime: HandlerRuntime;
  readonly #plainStartHook = this.onProcessingStartHook;
  readonly #events = new Emitter<{ [Event in keyof MessageEvents]: Parameters<MessageEvents[Event]>[0] }>();
  #release: (() => Promise<void>) | undefined;
  #listening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #reminder: NodeJS.Timeout | undefined;

  /** @throws MqttOptionsError */
  constructor(options?: MqttServerOptions);
  /** @internal */
  constructor(connection: MqttConnection);
  constructor(options: MqttServerOptions | MqttConnection = {}) {
    super();
    this.#connection = options instanceof MqttConnection ? options : new MqttConnection(options);
    // Failures of event handlers are observed and reported here, so Nest 12 must not report them as well. Nest 11 has no such field.
    Object.assign(this, { propagatesEventHandlerErrors: true });
    this.transportId = getMqttTransportId(this.#connection.name);
    const { loop, options: settings } = this.#connection;
    const normalizePattern = (pattern: never): string => this.normalizePattern(pattern);
    this.#registry = new HandlerRegistry(this.#router, settings, normalizePattern);
    this.#connection.beforeStart(() => this.#registry.assertAllWork());
    this.#subscriptions = new HandlerSubscriptions(loop, this.#router, this.logger, settings.onSubscriptionRefused);
    this.#runTimeHandlers = new RunTimeHandlers(this.#registry, this.#subscriptions, this.#connection.clock);
    this.#runtime = new HandlerRuntime(loop, this.#router, settings, this.logger, {
      server: this,
      clock: this.#connection.clock,
      random: this.#connection.random,
      normalizePattern,
      isPaused: () => this.#connection.isIntakePaused,
      ...tracedServer(settings.tracing, loop, () => (this.#hasHooks() ? this.#withHooks : undefined)),
      unmatched: (message) => this.#events.emit('unmatched', message),
      undecodable: (message, error) => this.#events.emit('undecodable', { message, error }),
    });
    forwardStatus(loop, this._status$);
  }

  /**
   * Connects. Delivery to handlers begins when the application has bootstrapped too; a server without the module does
   * not learn of that and begins at once. Fails, before it connects, with {@link MqttHandlersError} when handlers cannot work.
   */
  listen(callback: (error?: unknown) => unknown): void {
    this.#listening ??= this.#listen();
    this.#listening.then(
      () => callback(),
      (error: unknown) => {
        this.#listening = undefined;
        callback(error);
      },
    );
  }

  /** Takes no more messages, lets the running handlers finish within the deadline, and closes the connection unless it is shared. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  /** What is wrong with a handler is told when the server starts, together with what is wrong with the others. */
  override addHandler(
    pattern: unknown,
    callback: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    const handler = this.#registry.add(pattern, callback, isEventHandler, extras);
    if (handler === undefined) return;
    callback.isEventHandler = isEventHandler;
    callback.extras = extras;
    this.#connection.expectCodec(handler.codec);
    this.#connection.expectConsumer();
    // For tools that list handlers; ours are in the router, where one pattern may have several.
    const { declared } = handler.pattern;
    if (!this.messageHandlers.has(declared)) this.messageHandlers.set(declared, callback);
  }

  /**
   * Adds a handler while the server runs, with everything that handlers of controllers have but what Nest puts around those
   * (guards, pipes, interceptors, filters). Resolves when the broker has granted its subscription.
   *
   * Until the application has bootstrapped and the server listens it counts as declared: this resolves at once, and the
   * subscription is made, and its refusal told, with those of the others.
   *
   * @param options - of the handler, and `signal` and `timeoutMs`, which give up waiting for the broker, and the handler with it
   * @throws MqttHandlersError naming each mistake, MqttRefusedError and MqttNotSupportedError when the broker does not let it have its
   *   messages, MqttArgumentError, MqttMissingPackageError, MqttQueueFullError, MqttTimeoutError, MqttAbortError, MqttClosedError; then
   *   the handler is not there
   */
  async subscribe<Data = unknown>(
    pattern: MqttPattern | MqttPatternFunction,
    handler: MqttSubscriber<Data>,
    options: MqttSubscribeOptions = {},
  ): Promise<MqttSubscription> {
    this.#assertNotClosing();
    const registered = this.#runTimeHandlers.read(pattern, handler, options);
    await loadCodecs([registered.codec]);
    this.#assertNotClosing();
    this.#connection.expectConsumer();
    if (this.#subscriptions.isOpen) this.#consume();
    else if (this.#listening === undefined) this.#remind(reminders.listen);
    const subscription = await this.#runTimeHandlers.add(registered, options);
    if (this.#subscriptions.isOpen && !registered.isEvent) this.#warnOfRivals(registered.pattern.filter);
    return subscription;
  }

  /** The first handler that a message on this topic runs. */
  override getHandlerByPattern(pattern: string): MessageHandler | null {
    return this.messageHandlers.get(pattern) ?? this.#router.match(pattern)[0]?.callback ?? null;
  }

  /** @returns a function that removes the listener */
  override on<
    Event extends keyof MqttServerEvents = keyof MqttServerEvents,
    Callback extends MqttServerEvents[Event] = MqttServerEvents[Event],
  >(event: Event, callback: Callback): () => void {
    return event === 'unmatched' || event === 'undecodable'
      ? this.#events.on(event, callback as never)
      : this.#connection.loop.on(event, callback as never);
  }

  /** The event loop. */
  unwrap<T = EventLoop>(): T {
    return this.#connection.loop as T;
  }

  stats(): MqttServerStats {
    return { ...this.#runtime.stats(), handlers: this.#router.handlers.length };
  }

  /** The same for each handler, in order of registration. */
  handlerStats(): MqttHandlerStats[] {
    return this.#router.handlers.map(describeHandlerStats);
  }

  /**
   * What was declared about each handler, in order of registration.
   *
   * @throws MqttHandlersError when handlers cannot work as they are declared, or a `payloadSchema` cannot be put out as JSON Schema
   */
  describeHandlers(): MqttHandlerDescription[] {
    this.#registry.assertAllWork();
    return this.#router.handlers.map(describeHandler);
  }

  async #listen(): Promise<void> {
    this.#registry.assertAllWork();
    this.#release ??= this.#connection.claim();
    await this.#connection.loadCodecs();
    await this.#connection.start();
    if (!this.#connection.isDeliveryOpen) this.#remind(reminders.bootstrap);
    await this.#connection.whenDeliveryOpens(() => this.#open());
  }

  async #open(): Promise<void> {
    clearTimeout(this.#reminder);
    if (this.#closing !== undefined) return;
    this.#warnOfRivals();
    if (this.#router.handlers.length > 0) this.#consume();
    await this.#subscriptions.open();
  }

  #consume(): void {
    this.#connection.consume(
      (message, isReply) => this.#runtime.dispatch(message, isReply),
      (topic) => this.#router.match(topic).some((handler) => handler.pattern.share === undefined),
    );
  }

  #assertNotClosing(): void {
    if (this.#closing !== undefined || this.#connection.isIntakePaused) throw new MqttClosedError();
  }

  async #close(): Promise<void> {
    clearTimeout(this.#reminder);
    this.#connection.pauseIntake();
    this.#connection.beginDrain();
    const release = this.#release ?? this.#connection.claim();
    await this.#runtime.close(this.#unsubscribe());
    await release();
  }

  /** What stays connected must not go on receiving for handlers that are gone. A persistent session is to be resumed as it is. */
  async #unsubscribe(): Promise<void> {
    const { hasOtherUsers, options, loop } = this.#connection;
    const isLeaving = hasOtherUsers && !options.isSessionKept && loop.negotiated !== undefined;
    await this.#subscriptions.close(isLeaving).catch((error: unknown) => {
      this.logger.warn(`unsubscribing failed: ${describeError(error)}`);
    });
  }

  #remind(reminder: string): void {
    clearTimeout(this.#reminder);
    this.#reminder = setTimeout(() => this.logger.warn(reminder), reminderMs);
    this.#reminder.unref();
  }

  /** @param only - the filter that is new; undefined: all */
  #warnOfRivals(only?: string): void {
    for (const [filter, count] of this.#registry.rivals()) {
      if (only !== undefined && filter !== only) continue;
      this.logger.warn(`${count} message handlers for "${filter}": all of them run, the first one answers`);
    }
  }

  #hasHooks(): boolean {
    return this.onProcessingStartHook !== this.#plainStartHook || this.onProcessingEndHook !== undefined;
  }

  /** A hook may or may not return the promise of `done`: what counts is what `done` did. */
  readonly #withHooks: ProcessingHooks = (context, work) =>
    new Promise((resolve, reject) => {
      const done = async (): Promise<void> => {
        const outcome = await work().then(
          (answered) => () => resolve(answered),
          (error: unknown) => () => reject(error),
        );
        try {
          this.onProcessingEndHook?.(this.transportId, context);
        } catch (error) {
          this.logger.error(`processing end hook failed: ${describeError(error)}`);
        }
        outcome();
      };
      this.onProcessingStartHook(this.transportId, context, done);
    });
}
