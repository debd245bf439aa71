import { Logger } from '@nestjs/common';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import { Observable } from 'rxjs';
import type { EventLoop } from './eventloop/event-loop.js';
import type { EventLoopStatus } from './eventloop/events.js';
import type { Delivery, PublishOptions, PublishResult } from './eventloop/messages.js';
import type { MqttPattern } from './interfaces/handler-options.interface.js';
import type { MqttPublishOptions, MqttRequestOptions } from './interfaces/client-options.interface.js';
import type { MqttTracing } from './interfaces/tracing.interface.js';
import type { MqttModuleOptions } from './interfaces/module-options.interface.js';
import { MqttConnection } from './mqtt.connection.js';
import { describeError, MqttRemoteError } from './mqtt.errors.js';
import { LogLimiter } from './mqtt.logging.js';
import { forwardStatus, type MqttConnectionEvents } from './mqtt.status.js';
import { assertRequestOptions } from './requests/request-options.js';
import { Requester } from './requests/requester.js';
import { withPrefix, type Absolute } from './routing/topic-prefix.js';
import type { PayloadCodec } from './serialization/codec.js';
import { findCodec } from './serialization/codecs.js';
import { content, withContentType } from './serialization/outgoing.js';
import { asBytes, toJson } from './serialization/payload.js';
import { unwrapRecord } from './serialization/record.js';
import { tracedPublish, tracedRequest } from './telemetry/traced.js';

/** Gauges and counters of a client. @publicApi */
export interface MqttClientStats {
  /** Requests that wait for replies. */
  readonly pendingRequests: number;
  /** Replies that came when nobody waited for them any more. */
  readonly strayReplies: number;
}

/**
 * Publishes messages, events and requests. Nest's `send` and `emit` speak the envelope of Nest's built-in MQTT transport,
 * to peers of either kind; `publish` and `enqueue` send just the data.
 *
 * @publicApi
 */
export class MqttClient extends ClientProxy<MqttConnectionEvents> {
  readonly #connection: MqttConnection;
  /** Of a client that has the connection to itself. */
  readonly #release: (() => Promise<void>) | undefined;
  readonly #requester: Requester;
  readonly #logger = new Logger(MqttClient.name);
  readonly #limiter: LogLimiter;
  readonly #tracing: MqttTracing | undefined;

  /** @throws MqttOptionsError */
  constructor(options?: MqttModuleOptions);
  /** @internal */
  constructor(connection: MqttConnection);
  constructor(options: MqttModuleOptions | MqttConnection = {}) {
    super();
    if (options instanceof MqttConnection) this.#connection = options;
    else {
      this.#connection = new MqttConnection(options);
      this.#release = this.#connection.claim();
    }
    this.#limiter = new LogLimiter(this.#logger, this.#connection.clock);
    this.#requester = new Requester(this.#connection);
    this.#tracing = this.#connection.options.tracing;
    forwardStatus(this.#connection.loop, this._status$);
  }

  /** The status of the event loop, now and whenever it changes. */
  override get status(): Observable<EventLoopStatus> {
    // Not a type argument of the base class: that would keep clients from being assigned to `ClientProxy`.
    return super.status as Observable<EventLoopStatus>;
  }

  /** Makes the first connection unless that has been done; all other methods do so by themselves. */
  connect(): Promise<void> {
    return this.#connection.start();
  }

  /** Fails the requests that wait for replies, and closes the connection unless it is shared: everything published goes out first. */
  async close(): Promise<void> {
    this.#requester.close();
    await this.#release?.();
    this.#limiter.flush();
  }

  /** The event loop. */
  unwrap<T = EventLoop>(): T {
    return this.#connection.loop as T;
  }

  stats(): MqttClientStats {
    return { pendingRequests: this.#requester.pending, strayReplies: this.#requester.strayReplies };
  }

  /** @returns a function that removes the listener */
  override on<
    Event extends keyof MqttConnectionEvents = keyof MqttConnectionEvents,
    Callback extends MqttConnectionEvents[Event] = MqttConnectionEvents[Event],
  >(event: Event, callback: Callback): () => void {
    return this.#connection.loop.on(event, callback);
  }

  /**
   * Publishes data as it is: bytes and strings unchanged, `undefined` as an empty payload (which clears a retained
   * message), everything else as JSON; or all of it in the codec of the options or of the module.
   *
   * @returns settles when the exchange is complete: QoS 0 written to the socket, QoS 1 PUBACK, QoS 2 PUBCOMP
   * @throws MqttArgumentError, and as the event loop's `publish`
   */
  override publish(topic: string, data?: unknown, options?: MqttPublishOptions): Promise<PublishResult>;
  /** Nest's `send` sends with this. @internal */
  override publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void;
  override publish(
    target: string | ReadPacket,
    data?: unknown,
    options?: MqttPublishOptions,
  ): Promise<PublishResult> | (() => void) {
    if (typeof target === 'object' && target !== null && typeof data === 'function') {
      return this.#send(target, {}, data as (packet: WritePacket) => void);
    }
    const topic = target as string;
    if (this.#tracing !== undefined) {
      const publish: Send<PublishResult> = (loop, where, payload, own) => loop.publish(where, payload, own);
      return this.#traced(this.#tracing, topic, data, options, publish);
    }
    return this.#outgoing(options?.codec, (loop, codec) =>
      loop.publish(this.#prefixed(topic, options), ...content(data, options, codec)),
    );
  }

  /**
   * As `publish`, but waits only until the event loop has taken the message: the way to keep many under way without
   * getting ahead of the broker.
   */
  enqueue(topic: string, data?: unknown, options?: MqttPublishOptions): Promise<Delivery> {
    if (this.#tracing !== undefined) {
      const enqueue: Send<Delivery> = (loop, where, payload, own) => loop.enqueue(where, payload, own);
      return this.#traced(this.#tracing, topic, data, options, enqueue, ({ completed }) => completed);
    }
    return this.#outgoing(options?.codec, (loop, codec) =>
      loop.enqueue(this.#prefixed(topic, options), ...content(data, options, codec)),
    );
  }

  /**
   * Sends a request and waits for the reply; of several (a stream), the last one.
   *
   * @throws MqttRemoteError with what the responder answered, MqttTimeoutError, MqttNoResponderError, MqttAbortError,
   *   MqttTooManyRequestsError, MqttArgumentError, MqttClosedError, and as the event loop's `publish`
   */
  async request<TResult = unknown>(
    pattern: MqttPattern,
    data?: unknown,
    options: MqttRequestOptions = {},
  ): Promise<TResult> {
    assertRequestOptions(options);
    if (!this.#connection.isStarted) await this.connect();
    const loading = this.#codec(options.codec).load?.();
    if (loading !== undefined) await loading;
    return new Promise<TResult>((resolve, reject) => {
      let last: unknown;
      this.#send(this.#packet(pattern, data), options, ({ err, response, isDisposed }) => {
        if (err !== undefined && err !== null) {
          return reject(err instanceof Error ? err : new MqttRemoteError(this.#topicOf(pattern, options), err));
        }
        if (response !== undefined) last = response;
        if (isDisposed === true) resolve(last as TResult);
      });
    });
  }

  /**
   * Sends a request when it is subscribed to, once for each subscriber; the replies of a stream come one by one, unsubscribing
   * gives up waiting. Errors as of `request`, but for what a responder answered, which is as it came.
   */
  override send<TResult = unknown, TInput = unknown>(pattern: unknown, data: TInput): Observable<TResult> {
    // Nest asks for the connection before every request, which takes a promise and two observables more.
    return new Observable<TResult>((observer) =>
      this.#connection.isStarted && !isIncomplete(pattern, data)
        ? this.publish(this.#packet(pattern, data), this.createObserver<TResult>(observer))
        : super.send<TResult, TInput>(pattern, data).subscribe(observer),
    );
  }

  /**
   * Sends an event at once, subscribed to or not. Data travels in the built-in transport's envelope, bytes as they are.
   * A failure that no subscriber learns of is logged.
   */
  override emit<TResult = unknown, TInput = unknown>(pattern: unknown, data: TInput): Observable<TResult> {
    if (isIncomplete(pattern, data)) return super.emit(pattern, data);
    const outcome = this.#emit(pattern, data);
    let isObserved = false;
    outcome.catch((error: unknown) => {
      const suffix = isObserved ? undefined : this.#limiter.admit('emits that failed');
      if (suffix !== undefined) this.#logger.error(`emit failed: ${describeError(error)}${suffix}`);
    });
    return new Observable<TResult>((observer) => {
      isObserved = true;
      outcome.then(
        (result) => {
          observer.next(result as TResult);
          observer.complete();
        },
        (error: unknown) => observer.error(error),
      );
    });
  }

  protected dispatchEvent<T = unknown>(packet: ReadPacket): Promise<T> {
    const { data, options } = unwrapRecord(packet.data);
    const { loop, options: settings } = this.#connection;
    const { codec } = settings.payload;
    const topic = this.#topicOf(packet.pattern);
    const payload = codec.hasEnvelope
      ? (asBytes(data) ?? toJson({ ...this.#addressed(packet, topic), data }))
      : codec.encode(data);
    const own = withContentType(options, codec);
    if (this.#tracing === undefined) return loop.publish(topic, payload, own) as Promise<T>;
    const operation = { kind: 'publish', topic, loop } as const;
    return tracedPublish(this.#tracing, operation, own, (traced) => loop.publish(topic, payload, traced) as Promise<T>);
  }

  async #emit(pattern: unknown, data: unknown): Promise<unknown> {
    if (!this.#connection.isStarted) await this.connect();
    return this.dispatchEvent(this.#packet(pattern, data));
  }

  #send(packet: ReadPacket, options: MqttRequestOptions, callback: (packet: WritePacket) => void): () => void {
    const topic = this.#topicOf(packet.pattern, options);
    const addressed = this.#addressed(packet, topic);
    if (this.#tracing === undefined) return this.#requester.send(topic, addressed, options, callback);
    const operation = { kind: 'request', topic, loop: this.#connection.loop } as const;
    const own = { ...unwrapRecord(packet.data).options?.properties, ...options.properties };
    return tracedRequest(this.#tracing, operation, own, callback, (properties, reply) =>
      this.#requester.send(topic, addressed, { ...options, properties }, reply),
    );
  }

  #traced<T>(
    tracing: MqttTracing,
    topic: string,
    data: unknown,
    options: MqttPublishOptions | undefined,
    send: Send<T>,
    ended?: (result: T) => Promise<unknown>,
  ): Promise<T> {
    return this.#outgoing(options?.codec, (loop, codec) => {
      const where = this.#prefixed(topic, options);
      const [payload, own] = content(data, options, codec);
      const operation = { kind: 'publish', topic: where, loop } as const;
      return tracedPublish(tracing, operation, own, (traced) => send(loop, where, payload, traced), ended);
    });
  }

  /** @throws MqttArgumentError */
  #prefixed(topic: string, options?: Absolute): string {
    return withPrefix(this.#connection.options.topicPrefix, topic, options);
  }

  #topicOf(pattern: unknown, options?: Absolute): string {
    return this.#prefixed(this.normalizePattern(pattern as never), options);
  }

  /** Receivers know an envelope by its pattern: it is the topic. */
  #addressed(packet: ReadPacket, topic: string): ReadPacket {
    return this.#connection.options.topicPrefix === undefined ? packet : { ...packet, pattern: topic };
  }

  #packet(pattern: unknown, data: unknown): ReadPacket {
    const packet: ReadPacket = { pattern, data };
    // Nest 12's `createPacket` does this; Nest 11 has neither.
    const hook = Reflect.get(this, 'onDispatchHook') as ((packet: ReadPacket) => void) | undefined;
    hook?.(packet);
    return packet;
  }

  #outgoing<T>(
    option: MqttPublishOptions['codec'],
    send: (loop: EventLoop, codec: PayloadCodec) => Promise<T>,
  ): Promise<T> {
    const { loop, isStarted } = this.#connection;
    try {
      const codec = this.#codec(option);
      const loading = codec.load?.();
      if (isStarted && loading === undefined) return send(loop, codec);
      return Promise.all([loading, isStarted ? undefined : this.connect()]).then(() => send(loop, codec));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #codec(option: MqttPublishOptions['codec']): PayloadCodec {
    return option === undefined ? this.#connection.options.payload.codec : findCodec(option);
  }
}

/** Nest has its own error for these. */
function isIncomplete(pattern: unknown, data: unknown): boolean {
  return pattern === undefined || pattern === null || data === undefined || data === null;
}

type Send<T> = (loop: EventLoop, topic: string, payload: Uint8Array | string, options: PublishOptions) => Promise<T>;
