import type { Clock } from './clock.js';
import { publishEvents } from './diagnostics.js';
import { Driver } from './driver.js';
import { Emitter } from './emitter.js';
import { MqttArgumentError, MqttClosedError, type MqttError } from './errors.js';
import { EventLoopStatus, type EventLoopEvents } from './events.js';
import { Lifecycle } from './lifecycle.js';
import { MessageConsumers } from './message-consumers.js';
import type {
  Delivery,
  IncomingMessage,
  MessageHandler,
  OperationOptions,
  PublishOptions,
  PublishResult,
  SubscribeOptions,
  SubscribeRequestOptions,
  SubscribeResult,
} from './messages.js';
import type { Negotiated } from './negotiated.js';
import type { EventLoopOptions, ResolvedOptions } from './options.js';
import { Requests } from './requests.js';
import { randomClientId, resolveOptions } from './resolve-options.js';
import { Admission } from './admission/request-queue.js';
import { Session } from './session/session.js';
import { Reauthentication } from './reauthentication.js';
import { rejected } from './promises.js';
import { completeRuntime, type EventLoopRuntime } from './runtime.js';
import { assertShutdownOptions, shutDown, type ShutdownOptions, type ShutdownResult } from './shutdown.js';
import { collectStats, type EventLoopStats } from './stats.js';
import { assertTopicFilter } from './topics.js';

/**
 * One MQTT connection that can be left alone: bounded, throttled, reconnecting, resending, resubscribing.
 *
 * @example
 * ```ts
 * const loop = new EventLoop({ url: 'mqtt://localhost:1883', throttle: 100 });
 * await loop.start();
 * loop.onMessage(async (message) => console.log(message.topic, message.payload.toString()));
 * await loop.subscribe('plant/+/state', { qos: 1 });
 * await loop.publish('plant/7/state', 'running', { qos: 1 });
 * await loop.shutdown();
 * ```
 *
 * @publicApi
 */
export class EventLoop {
  readonly #clock: Clock;
  readonly #emitter = new Emitter<EventLoopEvents>();
  readonly #consumers = new MessageConsumers((message) => this.#session.incoming.drop(message, 'no-consumer'));
  readonly #session: Session;
  readonly #driver: Driver;
  readonly #requests: Requests;
  readonly #reauthentication: Reauthentication;
  readonly #lifecycle: Lifecycle;
  /** As given, to be merged with what `reconnect` brings. */
  #given: EventLoopOptions;
  #options: ResolvedOptions;
  #shutdown: Promise<ShutdownResult> | undefined;

  /** @throws MqttOptionsError naming every mistake */
  constructor(options: EventLoopOptions = {}, runtime: EventLoopRuntime = {}) {
    this.#options = resolveOptions(options);
    this.#given = { ...options, clientId: this.#options.clientId };
    const world = completeRuntime(runtime);
    this.#clock = world.clock;
    this.#session = new Session(this.#options, {
      deliver: this.#consumers.deliver,
      settledLater: () => this.#driver.wake(),
      messageDropped: ({ topic, qos }, reason) =>
        this.#emitter.emit('message-dropped', { direction: 'incoming', topic, qos, reason }),
      handlerFailed: ({ topic, qos }, error) => this.#emitter.emit('handler-failed', { error, topic, qos }),
      publishDropped: ({ topic, qos }, reason) =>
        this.#emitter.emit('message-dropped', { direction: 'outgoing', topic, qos, reason }),
      sentAgain: () => this.#consumers.leaveWaiting(),
      subscriptionRefused: (filter, reasonCode, reason) =>
        this.#emitter.emit('subscription-refused', { filter, reasonCode, reason }),
      authReceived: (reasonCode, properties) => this.#reauthentication.received(reasonCode, properties),
      throttled: (waitMs) => this.#emitter.emit('throttled', { waitMs, queued: this.#session.outgoing.queue.size }),
    });
    publishEvents(this.#emitter, () => this.#options.clientId);
    this.#driver = new Driver(this.#session, this.#clock);
    this.#reauthentication = new Reauthentication(this.#driver, this.#clock);
    this.#emitter.on('disconnected', ({ cause }) => this.#reauthentication.disconnected(cause));
    this.#requests = new Requests(this.#session, this.#driver, this.#clock, this.#options);
    this.#lifecycle = new Lifecycle(
      this.#options,
      {
        open: (established, sessionPresent) => this.#driver.open(established, sessionPresent),
        disconnect: (cause, farewell) => this.#driver.disconnect(cause, farewell),
        quiet: (timeoutMs) => this.#driver.quiet(timeoutMs),
        reauthenticate: (request) => this.#reauthentication.begin(request),
        gaveUp: (cause) => this.#gaveUp(cause),
      },
      this.#emitter,
      world,
    );
  }

  get status(): EventLoopStatus {
    return this.#lifecycle.status;
  }

  /** What holds on the present connection; undefined while there is none. */
  get negotiated(): Negotiated | undefined {
    return this.#lifecycle.negotiated;
  }

  stats(): EventLoopStats {
    return collectStats(this.#session, this.#driver, this.#lifecycle);
  }

  /**
   * Makes the first connection. Requests may be made before it; they wait in the queue.
   *
   * Under `never` and `after-first-success` rejects when it fails (start may be called again); under `always` resolves after
   * the first attempt whatever its result.
   *
   * @throws MqttConnectionRefusedError, MqttConnectionError, MqttConnectTimeoutError, MqttCredentialsError, MqttProtocolError
   */
  start(): Promise<void> {
    return this.#lifecycle.start();
  }

  /**
   * Publishes and waits for the exchange to complete: QoS 0 written to the socket, QoS 1 PUBACK, QoS 2 PUBCOMP.
   * The payload is not copied: leave it alone until then.
   *
   * @throws MqttArgumentError, MqttPacketTooLargeError, MqttQueueFullError, MqttMessageDroppedError, MqttNotSupportedError,
   *   MqttRefusedError (a reason code of 0x80 and above), MqttTimeoutError, MqttAbortError, MqttClosedError, MqttConnectionError
   *   (QoS 0 only: the connection ended while it was being written)
   */
  publish(topic: string, payload: Uint8Array | string, options?: PublishOptions): Promise<PublishResult> {
    try {
      this.#assertOpen();
      return this.#requests.publish(topic, payload, options);
    } catch (error) {
      return rejected(error);
    }
  }

  /**
   * Publishes and waits only until the request queue has taken it, which is how backpressure reaches the caller.
   *
   * @returns the delivery, whose `completed` settles as `publish` would
   * @throws as `publish`, for what happens before the queue took it
   */
  async enqueue(topic: string, payload: Uint8Array | string, options?: PublishOptions): Promise<Delivery> {
    this.#assertOpen();
    const exchange = this.#requests.exchange(topic, payload, options);
    this.#requests.offer(exchange, options);
    if (exchange.admission !== Admission.Waiting)
      return exchange.settled ? exchange.completed.then(() => exchange) : exchange;
    return new Promise((resolve, reject) => {
      exchange.onAdmitted = resolve;
      exchange.completed.catch(reject);
    });
  }

  /**
   * Publishes if the request queue has room now.
   *
   * @returns undefined when it has none
   * @throws MqttArgumentError, MqttPacketTooLargeError, MqttClosedError
   */
  tryEnqueue(topic: string, payload: Uint8Array | string, options?: PublishOptions): Delivery | undefined {
    this.#assertOpen();
    const exchange = this.#requests.exchange(topic, payload, options);
    if (!this.#session.outgoing.queue.hasRoomFor(exchange.bytes)) return undefined;
    this.#requests.offer(exchange, options);
    return exchange;
  }

  /**
   * Subscribes, and again by itself whenever the broker has lost the session.
   *
   * @param filter one filter, or several with their own options
   * @returns the granted QoS of each filter
   * @throws MqttRefusedError naming filter and reason; MqttArgumentError, MqttNotSupportedError, MqttQueueFullError,
   *   MqttTimeoutError, MqttAbortError, MqttClosedError
   */
  async subscribe(
    filter: string | Readonly<Record<string, SubscribeOptions>>,
    options: SubscribeRequestOptions = {},
  ): Promise<SubscribeResult> {
    this.#assertOpen();
    return this.#requests.subscribe(filter, options);
  }

  /** @throws MqttRefusedError, MqttArgumentError, MqttQueueFullError, MqttTimeoutError, MqttAbortError, MqttClosedError */
  async unsubscribe(filters: string | readonly string[], options: OperationOptions = {}): Promise<void> {
    this.#assertOpen();
    return this.#requests.unsubscribe(filters, options);
  }

  /**
   * Sets the one handler of incoming messages. Its promise drives acknowledgement and backpressure; the loop never waits for it.
   * Messages that came before there was a handler are handed over now.
   *
   * @returns a function that removes the handler
   * @throws MqttStateError when there is a handler already
   */
  onMessage(handler: MessageHandler): () => void {
    if (typeof handler !== 'function') throw new MqttArgumentError('handler', handler, 'a function');
    return this.#consumers.setHandler(handler);
  }

  /**
   * Messages to pull one by one, all or those that match a filter. Asking for the next one acknowledges the one before; leaving
   * the loop ends it, and acknowledges the message at hand, also when it is left by a throw. Does not subscribe.
   */
  messages(filter?: string): AsyncIterableIterator<IncomingMessage> {
    if (filter !== undefined) assertTopicFilter(filter);
    return this.#consumers.iterate(filter);
  }

  /** @returns a function that removes the listener */
  on<E extends keyof EventLoopEvents>(event: E, listener: (payload: EventLoopEvents[E]) => void): () => void {
    return this.#emitter.on(event, listener);
  }

  /** Disconnects (DISCONNECT: the will is cancelled) and stays so until `resume`. The queue is kept and goes on taking requests. */
  pause(): Promise<void> {
    return this.#lifecycle.pause();
  }

  /** Connects again at once after `pause`. Resolves when connected; rejects when the loop gives up. */
  resume(): Promise<void> {
    return this.#lifecycle.resume();
  }

  /**
   * Disconnects and connects again at once, with these options in place of the present ones. All of them or, when one is
   * wrong, none. Accepted requests are kept.
   *
   * @throws MqttOptionsError
   */
  async reconnect(options: Partial<EventLoopOptions> = {}): Promise<void> {
    this.#assertOpen();
    const given = { ...this.#given, ...options };
    const resolved = resolveOptions(given);
    this.#given = {
      ...given,
      clientId: options.clientId === undefined && 'clientId' in options ? randomClientId() : resolved.clientId,
    };
    this.#options = resolved;
    this.#session.configure(resolved);
    this.#requests.configure(resolved);
    return this.#lifecycle.reconnect(resolved);
  }

  /**
   * MQTT 5: proves again who we are, with the `authentication` option, without a new connection; before a token expires, say.
   *
   * @throws MqttStateError without that option or a connection, MqttCredentialsError when `authentication.start` fails (the
   *   connection goes on), MqttTimeoutError after `connectTimeoutMs`, MqttConnectionError when the connection ends meanwhile
   */
  async reauthenticate(): Promise<void> {
    this.#assertOpen();
    return this.#lifecycle.reauthenticate();
  }

  /**
   * Closes for good, in order: refuses new requests, lets handlers finish, drains queue and window, sends DISCONNECT, closes the
   * connection, settles whatever is left with {@link MqttClosedError}. A second call returns the first result.
   *
   * @throws MqttArgumentError before anything is done
   */
  async shutdown(options: ShutdownOptions = {}): Promise<ShutdownResult> {
    assertShutdownOptions(options, this.#options.sessionExpirySeconds);
    return (this.#shutdown ??= this.#shutDown(options));
  }

  async #shutDown(options: ShutdownOptions): Promise<ShutdownResult> {
    this.#lifecycle.close();
    this.#consumers.close();
    const result = await shutDown(this.#session, this.#driver, this.#lifecycle, this.#clock, options);
    this.#settleAll(undefined);
    return result;
  }

  /** The reconnect policy allows no further attempt. */
  #gaveUp(cause: MqttError): void {
    if (this.status === EventLoopStatus.Closing) return this.#driver.wake();
    this.#shutdown = Promise.resolve({ drained: this.#session.isDrained });
    this.#settleAll(cause);
  }

  #settleAll(cause: MqttError | undefined): void {
    this.#session.close((delivery) => new MqttClosedError(delivery, cause === undefined ? undefined : { cause }));
    this.#consumers.close();
    this.#emitter.emit('closed', { cause });
  }

  #assertOpen(): void {
    if (this.#shutdown !== undefined) throw new MqttClosedError();
  }
}
