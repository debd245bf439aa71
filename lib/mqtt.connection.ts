import { Logger } from '@nestjs/common';
import { systemClock, type Clock } from './eventloop/clock.js';
import type { EventLoop } from './eventloop/event-loop.js';
import type { IncomingMessage } from './eventloop/messages.js';
import type { EventLoopRuntime } from './eventloop/runtime.js';
import { NOT_CONSUMED } from './eventloop/session/incoming.js';
import type { MqttModuleExtras, MqttModuleOptions } from './interfaces/module-options.interface.js';
import { defaultName } from './mqtt.constants.js';
import { logConnection, LogLimiter } from './mqtt.logging.js';
import { createEventLoop, type NestOptions } from './mqtt.options.js';
import { Presence } from './presence/presence.js';
import type { PayloadCodec } from './serialization/codec.js';
import { loadCodecs } from './serialization/codecs.js';

const leastQueueDrainMs = 1_000;

/**
 * What a client says about a message: no reply of its own (undefined), a reply in its private inbox, or one on a topic
 * that handlers may be interested in too.
 *
 * @internal
 */
export type ReplyReceiver = (message: IncomingMessage) => 'private' | 'public' | undefined;

/**
 * A server's handling of a message.
 *
 * @param isReply - the client has taken it already; it need not interest any handler
 * @internal
 */
export type MessageConsumer = (message: IncomingMessage, isReply: boolean) => unknown;

/**
 * One event loop that a server and a client share: who receives which message, when delivery to handlers begins, and who
 * closes the loop, which is whoever leaves last.
 *
 * @internal
 */
export class MqttConnection {
  readonly name: string;
  readonly loop: EventLoop;
  readonly options: NestOptions;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly #logger = new Logger('MqttConnection');
  readonly #limiter: LogLimiter;
  readonly #codecs: Set<PayloadCodec>;
  readonly #presence: Presence | undefined;
  #isDeliveryOpen: boolean;
  readonly #checks: (() => void)[] = [];
  readonly #openers: (() => Promise<void>)[] = [];
  #started: Promise<void> | undefined;
  #isStarted = false;
  #receives = false;
  #users = 0;
  #shutdown: Promise<void> | undefined;
  #replies: ReplyReceiver | undefined;
  #consumer: MessageConsumer | undefined;
  #isSubscribed: ((topic: string) => boolean) | undefined;
  /** A server has handlers, so messages for them wait until it consumes. */
  #consumerExpected = false;
  #intakePaused = false;
  #drainsSinceMs: number | undefined;
  #changed: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /**
   * @param opensLater - delivery to handlers waits for `openDelivery`; without, it begins when the server listens
   * @param runtime - what a test replaces
   */
  constructor(
    options: MqttModuleOptions & Pick<MqttModuleExtras, 'name'> = {},
    opensLater = false,
    runtime: EventLoopRuntime = {},
  ) {
    const { loop, nest } = createEventLoop(options, runtime);
    this.name = options.name ?? defaultName;
    this.loop = loop;
    this.options = nest;
    this.#codecs = new Set([nest.payload.codec, ...(nest.contentTypeCodecs?.values() ?? [])]);
    this.clock = runtime.clock ?? systemClock;
    this.random = runtime.random ?? Math.random;
    this.#isDeliveryOpen = !opensLater;
    this.#limiter = new LogLimiter(this.#logger, this.clock);
    logConnection(loop, this.name, this.clock);
    if (nest.presence !== undefined) this.#presence = new Presence(nest.presence, loop, this.#logger);
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** The first connection, made once whoever asks; the reconnect policy decides how it ends. */
  start(): Promise<void> {
    return (this.#started ??= this.#start().then(
      () => {
        this.#isStarted = true;
      },
      (error: unknown) => {
        this.#started = undefined;
        throw error;
      },
    ));
  }

  /** @param check - throws when there is no point in connecting */
  beforeStart(check: () => void): void {
    this.#checks.push(check);
  }

  /** Before anything is sent or received: what a codec lacks is told at the start of the application. */
  async #start(): Promise<void> {
    for (const check of this.#checks) check();
    await this.loadCodecs();
    await this.loop.start();
  }

  /** @throws MqttMissingPackageError */
  async loadCodecs(): Promise<void> {
    await loadCodecs(this.#codecs);
  }

  /** A codec that is needed from the start on. */
  expectCodec(codec: PayloadCodec): void {
    this.#codecs.add(codec);
  }

  /** The loop stays open until every user has called what this returns. */
  claim(): () => Promise<void> {
    this.#users++;
    let isReleased = false;
    return () => {
      if (!isReleased) {
        isReleased = true;
        this.#users--;
      }
      if (this.#users > 0) return Promise.resolve();
      this.pauseIntake();
      return (this.#shutdown ??= this.#close());
    };
  }

  get isDeliveryOpen(): boolean {
    return this.#isDeliveryOpen;
  }

  get hasOtherUsers(): boolean {
    return this.#users > 1;
  }

  /** Runs `opener` when delivery opens: now if it is open. */
  whenDeliveryOpens(opener: () => Promise<void>): Promise<void> {
    if (this.#isDeliveryOpen) return opener();
    this.#openers.push(opener);
    return Promise.resolve();
  }

  /** Idempotent: Nest may run the bootstrap hooks of a connected microservice twice. */
  async openDelivery(): Promise<void> {
    this.#isDeliveryOpen = true;
    await Promise.all(this.#openers.splice(0).map((opener) => opener()));
    this.#wake();
  }

  /** A server has handlers: what comes for them before it consumes is kept. */
  expectConsumer(): void {
    this.#consumerExpected = true;
  }

  /** @param isSubscribed - whether the server receives messages on a topic */
  consume(consumer: MessageConsumer, isSubscribed: (topic: string) => boolean): void {
    this.#consumer = consumer;
    this.#isSubscribed = isSubscribed;
    this.#wake();
    this.#receive();
  }

  /** Whether the server's subscriptions bring messages on this topic. */
  isSubscribed(topic: string): boolean {
    return this.#isSubscribed?.(topic) ?? false;
  }

  receiveReplies(receiver: ReplyReceiver): void {
    this.#replies = receiver;
    this.#receive();
  }

  /**
   * From now on messages for handlers are left to the broker: neither handled nor acknowledged. Replies still come in,
   * for handlers that are running may wait for them.
   */
  pauseIntake(): void {
    this.#intakePaused = true;
    this.#wake();
  }

  get isIntakePaused(): boolean {
    return this.#intakePaused;
  }

  /** The server waits for its handlers: `drainTimeoutMs` counts from now on. */
  beginDrain(): void {
    this.#drainsSinceMs ??= this.clock.now();
  }

  async #close(): Promise<void> {
    const { drainTimeoutMs } = this.options;
    const nowMs = this.clock.now();
    const usedMs = nowMs - (this.#drainsSinceMs ?? nowMs);
    // Handlers that do not end must not take the time of what is queued, the replies of the others among it.
    const leastMs = Math.min(drainTimeoutMs, leastQueueDrainMs);
    this.#presence?.leave();
    const { drained } = await this.loop.shutdown({ drainTimeoutMs: Math.max(leastMs, drainTimeoutMs - usedMs) });
    this.#limiter.flush();
    if (!drained) {
      this.#logger.warn(
        `closed before everything was sent and handled: ${drainTimeoutMs} ms were not enough; raise drainTimeoutMs`,
      );
    }
  }

  /** The loop keeps messages while nobody receives; so nothing is lost before the first call. */
  #receive(): void {
    if (this.#receives) return;
    this.#receives = true;
    this.loop.onMessage(this.#deliver);
  }

  readonly #deliver = (message: IncomingMessage): unknown => {
    const reply = this.#replies?.(message);
    if (reply === 'private') return undefined;
    if (this.#intakePaused) return reply === undefined ? Promise.reject(NOT_CONSUMED) : undefined;
    if (this.#consumer !== undefined) return this.#consumer(message, reply !== undefined);
    if (reply !== undefined) return undefined;
    if (this.#consumerExpected || !this.#isDeliveryOpen) return this.#nextChange().then(() => this.#deliver(message));
    const suffix = this.#limiter.admit('messages without handlers');
    if (suffix !== undefined) {
      this.#logger.warn(
        `message on "${message.topic}" ignored: this application has no MQTT handlers; an earlier session may have left the subscription${suffix}`,
      );
    }
    return undefined;
  };

  /** Messages that wait here count as unsettled, so the loop bounds them. */
  #nextChange(): Promise<void> {
    this.#changed ??= deferred();
    return this.#changed.promise;
  }

  #wake(): void {
    this.#changed?.resolve();
    this.#changed = undefined;
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
