import { Buffer } from 'node:buffer';
import type { Clock } from './clock.js';
import { publishChannel, publishOutcome } from './diagnostics.js';
import type { Driver } from './driver.js';
import { asBuffer, isInteger } from './codec/encoder.js';
import { assertUserProperties, encodePublishProperties } from './codec/publish-properties.js';
import { TopicEncoder } from './codec/topic-encoder.js';
import { MqttArgumentError, MqttPacketTooLargeError, type MqttError } from './errors.js';
import type {
  OperationOptions,
  PublishOptions,
  PublishResult,
  SubscribeOptions,
  SubscribeRequestOptions,
  SubscribeResult,
} from './messages.js';
import { assertOperationOptions, OperationLimits } from './operation-limits.js';
import type { ResolvedOptions } from './options.js';
import type { Counters } from './session/counters.js';
import { PublishExchange } from './session/publish-exchange.js';
import type { Operation } from './session/operation.js';
import type { Session } from './session/session.js';
import { SubscribeExchange, UnsubscribeExchange, type SubscriptionExchange } from './session/subscription-exchange.js';
import { assertTopicFilter } from './topics.js';

const LARGEST_SUBSCRIPTION_IDENTIFIER = 268_435_455;
const NO_OPTIONS: PublishOptions = {};
/** The first byte, the remaining length and the lengths of topic and properties, at most. */
const PLAIN_OVERHEAD_BYTES = 1 + 4 + 2 + 1;

type RequestsOptions = Pick<ResolvedOptions, 'clientId' | 'maxPacketBytes'>;

/**
 * The way in for everything a caller asks for: checked, limited by signal and timeout, handed to the session.
 *
 * @internal
 */
export class Requests {
  readonly #session: Session;
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #limits: OperationLimits;
  readonly #topics = new TopicEncoder();
  #options: RequestsOptions;

  constructor(session: Session, driver: Driver, clock: Clock, options: RequestsOptions) {
    this.#session = session;
    this.#driver = driver;
    this.#clock = clock;
    this.#limits = new OperationLimits(clock);
    this.#options = options;
  }

  configure(options: RequestsOptions): void {
    this.#options = options;
  }

  /** @throws MqttArgumentError, MqttPacketTooLargeError */
  publish(topic: string, payload: Uint8Array | string, options: PublishOptions | undefined): Promise<PublishResult> {
    if (options !== undefined) assertOperationOptions(options);
    const { qos = 0, retain = false, properties, signal, timeoutMs } = options ?? NO_OPTIONS;
    const isPlain = qos === 0 && properties === undefined && signal === undefined && timeoutMs === undefined;
    if (isPlain && this.#driver.nothingWaits && !publishChannel.hasSubscribers) {
      const completed = this.#publishAtOnce(topic, payload, retain);
      if (completed !== undefined) return completed;
    }
    const exchange = this.#request(topic, payload, options);
    this.offer(exchange, options);
    return exchange.completed;
  }

  /** Without queue and exchange (docs/decisions/qos-0-at-once.md). @returns undefined when it needs them */
  #publishAtOnce(topic: string, payload: Uint8Array | string, retain: boolean): Promise<PublishResult> | undefined {
    const topicBytes = this.#topics.encode(topic);
    const bytes = bytesOf(payload);
    const most = PLAIN_OVERHEAD_BYTES + topicBytes.length + bytes.length;
    if (most > this.#options.maxPacketBytes || typeof retain !== 'boolean') return undefined;
    return this.#driver.publishAtOnce({ topic, topicBytes, payload: bytes, retain, bytes: most });
  }

  /**
   * Checks the arguments; nothing is taken and no clock runs yet.
   *
   * @throws MqttArgumentError, MqttPacketTooLargeError
   */
  exchange(topic: string, payload: Uint8Array | string, options: PublishOptions | undefined): PublishExchange {
    if (options !== undefined) assertOperationOptions(options);
    return this.#request(topic, payload, options);
  }

  #request(topic: string, payload: Uint8Array | string, options: PublishOptions | undefined): PublishExchange {
    return publishRequest(topic, payload, options, this.#options.maxPacketBytes, this.#session.counters, this.#topics);
  }

  /**
   * Hands a publish to the queue; what has failed already stays out.
   *
   * @throws MqttPacketTooLargeError when the queue could never hold it
   */
  offer(exchange: PublishExchange, options: PublishOptions | undefined): void {
    const { queue } = this.#session.outgoing;
    if (publishChannel.hasSubscribers) publishOutcome(exchange, this.#options.clientId, this.#clock);
    if (options !== undefined) this.#limits.limit(exchange, options, queue);
    this.#offer(exchange, queue);
  }

  subscribe(
    filter: string | Readonly<Record<string, SubscribeOptions>>,
    options: SubscribeRequestOptions,
  ): Promise<SubscribeResult> {
    assertOperationOptions(options);
    return this.#offerSubscription(subscribeRequest(filter, options), options);
  }

  unsubscribe(filters: string | readonly string[], options: OperationOptions): Promise<void> {
    assertOperationOptions(options);
    return this.#offerSubscription(unsubscribeRequest(filters), options);
  }

  #offerSubscription<R>(exchange: SubscriptionExchange & Operation<R>, options: OperationOptions): Promise<R> {
    const { subscriptions } = this.#session;
    this.#limits.limit(exchange, options, subscriptions);
    this.#offer(exchange, subscriptions);
    return exchange.completed;
  }

  #offer<O extends Pick<Operation<unknown>, 'settled' | 'fail'>>(
    operation: O,
    queue: { offer(operation: O): void },
  ): void {
    if (operation.settled) return;
    try {
      queue.offer(operation);
    } catch (error) {
      // Settled, so that it lets go of signal and clock.
      operation.fail(error as MqttError);
      throw error;
    }
    this.#driver.wake();
  }
}

/**
 * Turns the arguments of a publish into an exchange.
 *
 * @throws MqttArgumentError naming field, value and cure
 * @throws MqttPacketTooLargeError
 * @internal
 */
export function publishRequest(
  topic: string,
  payload: Uint8Array | string,
  options: PublishOptions | undefined,
  maxPacketBytes: number,
  counters: Counters,
  topics: TopicEncoder,
): PublishExchange {
  const topicBytes = topics.encode(topic);
  const { qos = 0, retain = false, properties } = options ?? NO_OPTIONS;
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new MqttArgumentError('qos', qos, '0, 1 or 2');
  if (typeof retain !== 'boolean') throw new MqttArgumentError('retain', retain, 'true or false');
  const exchange = new PublishExchange(
    topic,
    topicBytes,
    bytesOf(payload),
    qos,
    retain,
    encodePublishProperties(properties),
    counters,
  );
  if (exchange.bytes > maxPacketBytes)
    throw new MqttPacketTooLargeError(exchange.bytes, maxPacketBytes, 'maxPacketBytes');
  return exchange;
}

function bytesOf(payload: Uint8Array | string): Buffer {
  if (Buffer.isBuffer(payload)) return payload;
  if (typeof payload === 'string') return Buffer.from(payload);
  if (payload instanceof Uint8Array) return asBuffer(payload);
  throw new MqttArgumentError(
    'payload',
    payload,
    'a string or a Uint8Array; encode other values first, for example with JSON.stringify',
  );
}

/** @throws MqttArgumentError naming field, value and cure. @internal */
export function subscribeRequest(
  filter: string | Readonly<Record<string, SubscribeOptions>>,
  options: SubscribeRequestOptions,
): SubscribeExchange {
  const { subscriptionIdentifier, userProperties } = options;
  if (subscriptionIdentifier !== undefined && !isInteger(subscriptionIdentifier, 1, LARGEST_SUBSCRIPTION_IDENTIFIER)) {
    throw new MqttArgumentError(
      'subscriptionIdentifier',
      subscriptionIdentifier,
      `an integer from 1 to ${LARGEST_SUBSCRIPTION_IDENTIFIER}`,
    );
  }
  assertUserProperties(userProperties, 'userProperties');
  if (typeof filter !== 'string' && (typeof filter !== 'object' || filter === null)) {
    throw new MqttArgumentError('filter', filter, 'a topic filter, or an object of filters and their options');
  }
  const filters = new Map(typeof filter === 'string' ? [[filter, {}]] : Object.entries(filter));
  if (filters.size === 0) throw new MqttArgumentError('filter', filter, 'at least one topic filter');
  for (const [name, own] of filters) filters.set(name, subscribeOptions(name, { ...options, ...own }));
  return new SubscribeExchange(filters, subscriptionIdentifier, userProperties, false);
}

function subscribeOptions(filter: string, options: SubscribeOptions): SubscribeOptions {
  assertTopicFilter(filter);
  const { qos = 0, noLocal = false, retainAsPublished = false, retainHandling = 0 } = options;
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new MqttArgumentError('qos', qos, '0, 1 or 2');
  if (retainHandling !== 0 && retainHandling !== 1 && retainHandling !== 2)
    throw new MqttArgumentError('retainHandling', retainHandling, '0, 1 or 2');
  for (const [name, value] of Object.entries({ noLocal, retainAsPublished })) {
    if (typeof value !== 'boolean') throw new MqttArgumentError(name, value, 'true or false');
  }
  if (noLocal && filter.startsWith('$share/')) {
    throw new MqttArgumentError('noLocal', noLocal, 'false on a shared subscription [MQTT-3.8.3-4]');
  }
  return { qos, noLocal, retainAsPublished, retainHandling };
}

/** @throws MqttArgumentError naming field, value and cure. @internal */
export function unsubscribeRequest(filters: string | readonly string[]): UnsubscribeExchange {
  if (typeof filters !== 'string' && !Array.isArray(filters))
    throw new MqttArgumentError('filters', filters, 'a topic filter, or an array of them');
  const list = typeof filters === 'string' ? [filters] : [...filters];
  if (list.length === 0) throw new MqttArgumentError('filters', filters, 'at least one topic filter');
  for (const filter of list) assertTopicFilter(filter);
  return new UnsubscribeExchange(list);
}
