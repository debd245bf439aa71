import { LinkedList } from '../admission/linked-list.js';
import { RequestQueue, type RequestQueueLimits } from '../admission/request-queue.js';
import { PacketType, type ProtocolVersion } from '../codec/packet-types.js';
import type { ReceivedProperties } from '../codec/property-reader.js';
import { REFUSED } from '../codec/reason-codes.js';
import { publishPacketBytes, type PacketWriter } from '../codec/writer.js';
import { MqttNotSupportedError, MqttPacketTooLargeError, type MqttError } from '../errors.js';
import type { Negotiated } from '../negotiated.js';
import type { AcknowledgementLane } from './acknowledgement-lane.js';
import type { Counters } from './counters.js';
import { IdMap } from './id-map.js';
import { RESERVED_IDS, type PacketIds } from './packet-ids.js';
import type { PublishExchange } from './publish-exchange.js';
import { PLAIN, TopicAliases } from './topic-aliases.js';
import type { PlainPublish } from './written-publishes.js';

const IDENTIFIER_NOT_FOUND = 0x92;

/**
 * Publishes from the request queue to their last acknowledgement. What was sent and not answered is kept in the order of its
 * first sending, so a resend is a walk along that list [MQTT-4.6.0-1].
 *
 * @internal
 */
export class OutgoingPublishes {
  readonly queue: RequestQueue<PublishExchange>;
  readonly #ids: PacketIds;
  readonly #acknowledgements: AcknowledgementLane;
  readonly #counters: Counters;
  /** Sent and not answered, in the order of first sending. */
  readonly #unanswered = new LinkedList<PublishExchange>();
  /** QoS 2 past PUBREC, in the order of the PUBRECs [MQTT-4.6.0-4]. Never sent as PUBLISH again [MQTT-4.3.3-6]. */
  readonly #released = new LinkedList<PublishExchange>();
  readonly #byId = new IdMap<PublishExchange>();
  /** The first unanswered publish that this connection has not seen; a resend is pending while there is one. */
  #resend: PublishExchange | undefined;
  #releasesToResend: PublishExchange[] = [];
  /** Of QoS 2 publishes given up in a kept session: the broker may still hold the message under this identifier [MQTT-4.3.3-2]. */
  #withheldIds: number[] = [];
  #epoch = 0;
  #inflight = 0;
  #isHeld = false;
  #negotiated!: Negotiated;
  readonly #aliases = new TopicAliases();

  constructor(
    limits: RequestQueueLimits,
    ids: PacketIds,
    acknowledgements: AcknowledgementLane,
    counters: Counters,
    onDropped: (exchange: PublishExchange, policy: 'drop-oldest' | 'drop-newest') => void,
  ) {
    this.queue = new RequestQueue(limits, onDropped);
    this.#ids = ids;
    this.#acknowledgements = acknowledgements;
    this.#counters = counters;
  }

  /** Sent on this connection and not complete. */
  get inflight(): number {
    return this.#inflight;
  }

  get isDrained(): boolean {
    return (
      this.queue.size === 0 && this.queue.waiting === 0 && this.#unanswered.size === 0 && this.#released.size === 0
    );
  }

  /** Nothing new is sent until the next connection. */
  hold(): void {
    this.#isHeld = true;
  }

  connected(negotiated: Negotiated, epoch: number, sessionPresent: boolean): void {
    this.#isHeld = false;
    this.#negotiated = negotiated;
    this.#epoch = epoch;
    this.#aliases.reset(negotiated.topicAliases, negotiated.maxPacketBytes);
    if (!sessionPresent) this.#forgetSession();
    this.#resend = this.#unanswered.head;
    this.#releasesToResend = [...this.#released].toReversed();
    this.#inflight = this.#released.size;
  }

  disconnected(): void {
    this.#inflight = 0;
    this.#resend = undefined;
  }

  /** The broker lost the session: unanswered publishes start over as new ones [MQTT-4.4.0-1], and what is past PUBREC is complete. */
  #forgetSession(): void {
    for (const exchange of this.#unanswered) {
      this.#ids.release(exchange.id);
      exchange.id = 0;
      if (exchange.settled) this.#unanswered.remove(exchange);
    }
    this.#byId.clear();
    for (const id of this.#withheldIds.splice(0)) this.#ids.release(id);
    for (let exchange = this.#released.shift(); exchange !== undefined; exchange = this.#released.shift()) {
      this.#ids.release(exchange.id);
      exchange.isReleased = false;
      exchange.complete(0, undefined);
    }
  }

  /** The next PUBREL to repeat, if any; it takes no slot of its own and never waits for one [MQTT-3.3.4-8]. */
  get hasReleaseToResend(): boolean {
    while (this.#releasesToResend.at(-1)?.isReleased === false) this.#releasesToResend.pop();
    return this.#releasesToResend.length > 0;
  }

  resendRelease(): void {
    this.#acknowledgements.push(PacketType.Pubrel, this.#releasesToResend.pop()!.id, 0);
  }

  /** The publish that may go next: a resend first; a QoS 0 publish at the head of the queue does not wait for the window. */
  next(): PublishExchange | undefined {
    const hasSlot = this.#inflight < this.#negotiated.inflight;
    if (this.#resend !== undefined && hasSlot) return this.#resend;
    if (this.#isHeld) return undefined;
    const head = this.queue.head;
    if (head === undefined || head.qos === 0) return head;
    return hasSlot && this.#resend === undefined && this.#ids.free > RESERVED_IDS ? head : undefined;
  }

  /**
   * Fails the publish that `next` returned if the server of this connection cannot take it.
   *
   * @returns whether it failed
   */
  failIfUnsupported(exchange: PublishExchange): boolean {
    const error = unsupported(exchange, this.#negotiated);
    if (error === undefined) return false;
    if (exchange === this.#resend) {
      this.#resend = exchange.next;
      this.#giveUp(exchange);
    } else this.queue.shift();
    exchange.fail(error);
    return true;
  }

  /** Writes the publish that `next` returned. */
  send(exchange: PublishExchange, writer: PacketWriter): void {
    const isResend = exchange === this.#resend;
    let dup = false;
    if (isResend) {
      this.#resend = exchange.next;
      dup = exchange.id !== 0;
      this.#counters.publishesResent++;
    } else {
      this.queue.shift();
      if (exchange.qos > 0) this.#unanswered.push(exchange);
    }
    exchange.epoch = this.#epoch;
    if (exchange.qos > 0) {
      if (exchange.id === 0) exchange.id = this.#ids.take()!;
      this.#byId.set(exchange.id, exchange);
      this.#inflight++;
    }
    this.#counters.publishesSent++;
    const version = this.#negotiated.protocolVersion;
    // A resend carries its topic: it may be the only one that arrives.
    const name = isResend ? PLAIN : this.#aliases.nameOf(exchange);
    writer.publish(exchange, exchange.id, dup, version, name.alias, name.withTopic);
  }

  /** Nothing would leave before a publish that was made now. */
  get nothingWaits(): boolean {
    return this.queue.size === 0 && this.#resend === undefined && this.#releasesToResend.length === 0 && !this.#isHeld;
  }

  /** Writes a publish at QoS 0 that was not in the queue. @returns false when queue or server would not take it */
  sendAtOnce(publish: PlainPublish, writer: PacketWriter): boolean {
    const { topicBytes, payload, retain, bytes } = publish;
    const { protocolVersion, maxPacketBytes, retainAvailable, topicAliases } = this.#negotiated;
    if (bytes > maxPacketBytes || (retain && !retainAvailable) || !this.queue.letPast(bytes)) return false;
    this.#counters.publishesSent++;
    if (topicAliases === 0) writer.plainPublish(publish, protocolVersion);
    else {
      const { alias, withTopic } = this.#aliases.nameOf(publish);
      const packet = { topicBytes, payload, qos: 0, retain, encodedProperties: undefined };
      writer.publish(packet, 0, false, protocolVersion, alias, withTopic);
    }
    return true;
  }

  puback(id: number, reasonCode: number, properties: ReceivedProperties | undefined): void {
    const exchange = this.#byId.get(id);
    if (exchange === undefined || exchange.qos !== 1 || exchange.epoch !== this.#epoch) {
      this.#counters.unknownAcknowledgements++;
      return;
    }
    this.#inflight--;
    this.#close(exchange);
    exchange.complete(reasonCode, properties);
  }

  pubrec(id: number, reasonCode: number, properties: ReceivedProperties | undefined, version: ProtocolVersion): void {
    const exchange = this.#byId.get(id);
    if (exchange === undefined || exchange.qos !== 2 || exchange.epoch !== this.#epoch || exchange.isReleased) {
      const accepts = reasonCode < REFUSED;
      if (accepts && exchange?.isReleased === true) this.#acknowledgements.push(PacketType.Pubrel, id, 0);
      else {
        this.#counters.unknownAcknowledgements++;
        // The broker waits for a PUBREL whatever we know, unless it refused [MQTT-4.3.3-4]. A QoS 1 exchange under this id is
        // not its business.
        if (accepts && exchange === undefined)
          this.#acknowledgements.push(PacketType.Pubrel, id, version === 5 ? IDENTIFIER_NOT_FOUND : 0);
      }
      return;
    }
    if (reasonCode >= REFUSED) {
      this.#inflight--;
      this.#close(exchange);
      exchange.complete(reasonCode, properties);
      return;
    }
    this.#unanswered.remove(exchange);
    this.#released.push(exchange);
    exchange.isReleased = true;
    this.#acknowledgements.push(PacketType.Pubrel, id, 0);
  }

  pubcomp(id: number, properties: ReceivedProperties | undefined): void {
    const exchange = this.#byId.get(id);
    if (exchange?.isReleased !== true) {
      this.#counters.unknownAcknowledgements++;
      return;
    }
    this.#inflight--;
    this.#released.remove(exchange);
    exchange.isReleased = false;
    this.#byId.delete(id);
    this.#ids.release(id);
    // 0x92 says that the broker has completed it before: either way it has the message.
    exchange.complete(0, properties);
  }

  failAll(error: (delivery: 'not-sent' | 'unknown') => MqttError): void {
    this.queue.failAll(error('not-sent'));
    for (const list of [this.#unanswered, this.#released]) {
      for (let exchange = list.shift(); exchange !== undefined; exchange = list.shift())
        exchange.fail(error('unknown'));
    }
    this.#byId.clear();
    this.disconnected();
  }

  #close(exchange: PublishExchange): void {
    this.#unanswered.remove(exchange);
    this.#byId.delete(exchange.id);
    this.#ids.release(exchange.id);
  }

  #giveUp(exchange: PublishExchange): void {
    if (exchange.qos !== 2 || exchange.id === 0) return this.#close(exchange);
    this.#unanswered.remove(exchange);
    this.#byId.delete(exchange.id);
    this.#withheldIds.push(exchange.id);
  }
}

/** Every limit is the present server's: it may be another one than when the publish was accepted. */
function unsupported(exchange: PublishExchange, negotiated: Negotiated): MqttError | undefined {
  const { qos, retain, delivery } = exchange;
  if (qos > negotiated.maximumQos)
    return new MqttNotSupportedError(`QoS ${qos}`, `publish with QoS ${negotiated.maximumQos} at most`, delivery);
  if (retain && !negotiated.retainAvailable)
    return new MqttNotSupportedError('retained messages', 'publish without retain', delivery);
  if (exchange.bytes > negotiated.maxPacketBytes) {
    const bytes = publishPacketBytes(exchange, negotiated.protocolVersion);
    if (bytes > negotiated.maxPacketBytes)
      return new MqttPacketTooLargeError(bytes, negotiated.maxPacketBytes, 'server', delivery);
  }
  return undefined;
}
