import type { PacketType } from '../codec/packet-types.js';
import type { ReceivedProperties } from '../codec/property-reader.js';
import { REFUSED, reasonText } from '../codec/reason-codes.js';
import type { PacketWriter } from '../codec/writer.js';
import { MqttProtocolError } from '../connection-errors.js';
import { MqttPacketTooLargeError, MqttQueueFullError, MqttRefusedError, type MqttError } from '../errors.js';
import type { QoS, SubscribeOptions } from '../messages.js';
import type { Negotiated } from '../negotiated.js';
import type { Counters } from './counters.js';
import type { PacketIds } from './packet-ids.js';
import {
  SubscribeExchange,
  UnsubscribeExchange,
  type DesiredSubscription,
  type SubscriptionExchange,
} from './subscription-exchange.js';

const PACKET_TOO_LARGE = 0x95;
const SHARED_NOT_SUPPORTED = 0x9e;
const IDENTIFIERS_NOT_SUPPORTED = 0xa1;
const WILDCARDS_NOT_SUPPORTED = 0xa2;
/** AWS IoT takes no more filters in one SUBSCRIBE. */
const FILTERS_PER_REPEAT = 8;
const MOST_REFUSED = 1_000;

/** A filter that the broker refused. @internal */
export type OnRefused = (filter: string, reasonCode: number, reason: string) => void;

/**
 * The subscriptions that were granted, and the requests that change them. Requests outlive connections; granted subscriptions
 * are made again when, and only when, the broker has lost the session.
 *
 * @internal
 */
export class Subscriptions {
  readonly #ids: PacketIds;
  readonly #counters: Counters;
  readonly #onRefused: OnRefused;
  readonly #granted = new Map<string, DesiredSubscription>();
  /** What the broker refused last time it was asked, for `stats()`. */
  readonly #refused = new Set<string>();
  readonly #sent = new Map<number, SubscriptionExchange>();
  /** Filters of requests that were sent. A broker may work on several at once, in any order: about each it is asked one thing at a time. */
  readonly #inQuestion = new Set<string>();
  #waiting: SubscriptionExchange[] = [];
  #capacity: number;
  #negotiated!: Negotiated;

  constructor(capacity: number, ids: PacketIds, counters: Counters, onRefused: OnRefused) {
    this.#capacity = capacity;
    this.#ids = ids;
    this.#counters = counters;
    this.#onRefused = onRefused;
  }

  configure(capacity: number): void {
    this.#capacity = capacity;
  }

  get refused(): number {
    return this.#refused.size;
  }

  get waitsForAcknowledgement(): boolean {
    return this.#sent.size > 0;
  }

  get isDrained(): boolean {
    return this.#waiting.length === 0 && this.#sent.size === 0;
  }

  /** @throws MqttQueueFullError when too many requests wait already */
  offer(exchange: SubscriptionExchange): void {
    if (this.#waiting.length >= this.#capacity) throw new MqttQueueFullError('requestCapacity', this.#capacity);
    // From here on a lost session does not bring them back.
    if (exchange instanceof UnsubscribeExchange) {
      for (const filter of exchange.names) {
        this.#refused.delete(filter);
        const granted = this.#granted.get(filter);
        if (granted !== undefined) exchange.ended.set(filter, granted);
        this.#granted.delete(filter);
      }
    }
    this.#waiting.push(exchange);
  }

  withdraw(exchange: SubscriptionExchange): void {
    const index = this.#waiting.indexOf(exchange);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    if (!exchange.wasSent) this.#keep(exchange);
  }

  /** An UNSUBSCRIBE came to nothing for these filters: the broker goes on, and so does the wish for them. */
  #keep(exchange: SubscriptionExchange, filters?: Iterable<string>): void {
    if (!(exchange instanceof UnsubscribeExchange)) return;
    for (const filter of filters ?? exchange.ended.keys()) {
      const granted = exchange.ended.get(filter);
      if (granted !== undefined && !this.#granted.has(filter)) this.#granted.set(filter, granted);
    }
  }

  connected(negotiated: Negotiated, sessionPresent: boolean): void {
    this.#negotiated = negotiated;
    if (sessionPresent) return;
    this.#waiting = [
      ...this.#repeats(),
      ...this.#waiting.filter((exchange) => !(exchange instanceof SubscribeExchange && exchange.isRepeat)),
    ];
  }

  /** What was sent and not answered goes first on the next connection, in its old order. */
  disconnected(): void {
    const unanswered: SubscriptionExchange[] = [];
    for (const [id, exchange] of this.#sent) {
      this.#ids.release(id);
      if (!exchange.settled) unanswered.push(exchange);
    }
    this.#sent.clear();
    this.#inQuestion.clear();
    this.#waiting = [...unanswered, ...this.#waiting];
  }

  /** Bytes of the next request that may go on this connection; those that may not fail here. 0 when there is none. */
  nextBytes(): number {
    for (let exchange = this.#next(); exchange !== undefined; exchange = this.#next()) {
      if (this.#ids.free === 0) return 0;
      const bytes = exchange.encode(1, this.#negotiated.protocolVersion).length;
      const error =
        bytes > this.#negotiated.maxPacketBytes
          ? new MqttPacketTooLargeError(bytes, this.#negotiated.maxPacketBytes, 'server', exchange.delivery)
          : exchange.unsupported(this.#negotiated);
      if (error === undefined) return bytes;
      this.#waiting.splice(this.#waiting.indexOf(exchange), 1);
      if (exchange instanceof SubscribeExchange && exchange.isRepeat) this.#repeatFailed(exchange, error);
      else this.#keep(exchange);
      exchange.fail(error);
    }
    return 0;
  }

  /** The first one that no request before it, sent or waiting, is about a filter of. */
  #next(): SubscriptionExchange | undefined {
    // Asked with every publish.
    if (this.#waiting.length === 0) return undefined;
    const before = new Set<string>();
    for (const exchange of this.#waiting) {
      const { names } = exchange;
      if (!names.some((filter) => this.#inQuestion.has(filter) || before.has(filter))) return exchange;
      for (const filter of names) before.add(filter);
    }
    return undefined;
  }

  /** Filters were grouped by us: each is judged alone, and what this server cannot do is told, for nobody waits for it. */
  #repeatFailed(exchange: SubscribeExchange, error: MqttError): void {
    const { filters, subscriptionIdentifier, userProperties } = exchange;
    if (filters.size === 1) {
      for (const filter of filters.keys()) this.#refuse(filter, this.#refusalOf(exchange, filter), error.message);
      return;
    }
    const alone = Array.from(
      filters,
      (entry) => new SubscribeExchange(new Map([entry]), subscriptionIdentifier, userProperties, true),
    );
    this.#waiting.unshift(...alone);
  }

  /** What the server would have answered. */
  #refusalOf({ subscriptionIdentifier }: SubscribeExchange, filter: string): number {
    const negotiated = this.#negotiated;
    const hasIdentifier = subscriptionIdentifier !== undefined && negotiated.protocolVersion === 5;
    if (hasIdentifier && !negotiated.subscriptionIdentifiersAvailable) return IDENTIFIERS_NOT_SUPPORTED;
    if (filter.startsWith('$share/') && !negotiated.sharedSubscriptionAvailable) return SHARED_NOT_SUPPORTED;
    return negotiated.wildcardSubscriptionAvailable ? PACKET_TOO_LARGE : WILDCARDS_NOT_SUPPORTED;
  }

  /** Writes the request whose size `nextBytes` told. */
  send(writer: PacketWriter): void {
    const exchange = this.#next()!;
    this.#waiting.splice(this.#waiting.indexOf(exchange), 1);
    const id = this.#ids.take()!;
    exchange.wasSent = true;
    this.#sent.set(id, exchange);
    for (const filter of exchange.names) this.#inQuestion.add(filter);
    writer.raw(exchange.encode(id, this.#negotiated.protocolVersion));
  }

  /**
   * @throws MqttProtocolError when the answer does not fit the request; the request has failed then, so that it cannot come
   *   back and end every later connection too
   */
  acknowledged(
    type: typeof PacketType.Suback | typeof PacketType.Unsuback,
    id: number,
    reasonCodes: readonly number[],
    properties: ReceivedProperties | undefined,
  ): void {
    const exchange = this.#sent.get(id);
    if (exchange === undefined || exchange.acknowledgedBy !== type) {
      this.#counters.unknownAcknowledgements++;
      return;
    }
    this.#sent.delete(id);
    this.#ids.release(id);
    const filters = exchange.names;
    for (const filter of filters) this.#inQuestion.delete(filter);
    if (reasonCodes.length !== filters.length && (reasonCodes.length > 0 || exchange instanceof SubscribeExchange)) {
      const error = new MqttProtocolError(`${reasonCodes.length} reason codes for ${filters.length} filters`);
      exchange.fail(error);
      throw error;
    }
    const refused = new Map<string, number>();
    filters.forEach((filter, index) => {
      if ((reasonCodes[index] ?? 0) >= REFUSED) refused.set(filter, reasonCodes[index]!);
    });
    const error = refusal(exchange, refused, properties?.reasonString);
    if (exchange instanceof SubscribeExchange)
      this.#subscribed(exchange, filters, reasonCodes, refused, error, properties?.reasonString);
    else if (error === undefined) {
      for (const filter of filters) this.#granted.delete(filter);
      exchange.succeed();
    } else {
      this.#keep(exchange, refused.keys());
      exchange.fail(error);
    }
  }

  failAll(error: (delivery: 'not-sent' | 'unknown') => MqttError): void {
    for (const exchange of [...this.#sent.values(), ...this.#waiting]) exchange.fail(error(exchange.delivery));
    this.#sent.clear();
    this.#inQuestion.clear();
    this.#waiting = [];
  }

  #subscribed(
    exchange: SubscribeExchange,
    filters: readonly string[],
    reasonCodes: readonly number[],
    refused: ReadonlyMap<string, number>,
    error: MqttError | undefined,
    reasonString: string | undefined,
  ): void {
    const { subscriptionIdentifier, userProperties } = exchange;
    const granted = new Map<string, QoS>();
    filters.forEach((filter, index) => {
      if (refused.has(filter))
        return this.#refuse(filter, reasonCodes[index]!, reasonText(reasonCodes[index]!, reasonString));
      this.#refused.delete(filter);
      granted.set(filter, reasonCodes[index] as QoS);
      // Its owner was told that it failed: nobody would ever unsubscribe it.
      if (exchange.settled) return;
      this.#granted.set(filter, { options: exchange.filters.get(filter)!, subscriptionIdentifier, userProperties });
    });
    if (error === undefined) exchange.succeed({ granted });
    else exchange.fail(error);
  }

  #refuse(filter: string, reasonCode: number, reason: string): void {
    if (this.#refused.size < MOST_REFUSED) this.#refused.add(filter);
    this.#onRefused(filter, reasonCode, reason);
  }

  /** SUBSCRIBEs for all that was granted, grouped as far as their packet-wide properties allow. */
  #repeats(): SubscribeExchange[] {
    const repeats: SubscribeExchange[] = [];
    let filters = new Map<string, SubscribeOptions>();
    let group: DesiredSubscription | undefined;
    for (const [filter, desired] of this.#granted) {
      const joins =
        group !== undefined &&
        filters.size < FILTERS_PER_REPEAT &&
        group.subscriptionIdentifier === desired.subscriptionIdentifier &&
        group.userProperties === desired.userProperties;
      if (!joins) {
        filters = new Map();
        group = desired;
        repeats.push(new SubscribeExchange(filters, desired.subscriptionIdentifier, desired.userProperties, true));
      }
      filters.set(filter, desired.options);
    }
    return repeats;
  }
}

function refusal(
  exchange: SubscriptionExchange,
  refused: ReadonlyMap<string, number>,
  reasonString: string | undefined,
): MqttError | undefined {
  const first = refused.entries().next().value;
  if (first === undefined) return undefined;
  const [filter, reasonCode] = first;
  const operation = exchange instanceof SubscribeExchange ? 'subscribe' : 'unsubscribe';
  return new MqttRefusedError(operation, filter, reasonCode, reasonText(reasonCode, reasonString), refused);
}
