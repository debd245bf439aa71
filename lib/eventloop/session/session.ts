import type { PacketSink } from '../codec/decoder.js';
import { PacketType, type AcknowledgementType } from '../codec/packet-types.js';
import type { ReceivedProperties } from '../codec/property-reader.js';
import type { PacketWriter } from '../codec/writer.js';
import { reasonText } from '../codec/reason-codes.js';
import { MqttConnectionError, MqttProtocolError, MqttServerDisconnectError } from '../connection-errors.js';
import type { MqttError } from '../errors.js';
import type { IncomingProperties, PublishResult } from '../messages.js';
import type { Negotiated } from '../negotiated.js';
import type { RequestQueueLimits } from '../admission/request-queue.js';
import type { ThrottleRates } from '../admission/throttle.js';
import { AcknowledgementLane } from './acknowledgement-lane.js';
import { newCounters } from './counters.js';
import type { IncomingHooks, IncomingLimits } from './incoming-limits.js';
import { IncomingMessages } from './incoming.js';
import { KeepAlive } from './keep-alive.js';
import { OutgoingPublishes } from './outgoing.js';
import { PacketIds } from './packet-ids.js';
import type { PublishExchange } from './publish-exchange.js';
import { SendGate } from './send-gate.js';
import { Subscriptions, type OnRefused } from './subscriptions.js';
import { WrittenPublishes, type PlainPublish } from './written-publishes.js';

const PING_BYTES = 2;
const PUBREL_BYTES = 4;

/** @internal */
export interface SessionOptions extends RequestQueueLimits, IncomingLimits {
  readonly throttle: ThrottleRates | undefined;
  readonly pingTimeoutMs: number | undefined;
}

/** @internal */
export interface SessionHooks extends IncomingHooks {
  publishDropped(exchange: PublishExchange, policy: 'drop-oldest' | 'drop-newest'): void;
  subscriptionRefused: OnRefused;
  /** May throw an {@link MqttError}, which ends the connection. */
  authReceived(reasonCode: number, properties: ReceivedProperties | undefined): void;
  /** The throttle starts to hold requests back. */
  throttled(waitMs: number): void;
}

/**
 * The MQTT session without I/O: packets come in through the sink methods, packets go out when `write` is called, time comes in
 * as an argument. Outlives connections.
 *
 * @internal
 */
export class Session implements PacketSink {
  readonly counters = newCounters();
  /** The driver's word that a write does not get through. */
  isWriteBlocked = false;
  readonly keepAlive = new KeepAlive();
  readonly outgoing: OutgoingPublishes;
  readonly subscriptions: Subscriptions;
  readonly incoming: IncomingMessages;
  readonly #acknowledgements = new AcknowledgementLane();
  readonly #gate: SendGate;
  readonly #hooks: SessionHooks;
  #pingTimeoutMs: number | undefined;
  #negotiated: Negotiated | undefined;
  #epoch = 0;
  /** AUTH packets on their way out; one at a time, as the exchange goes to and fro. */
  #auths: Buffer[] = [];
  /** QoS 0 publishes of the present write. */
  #written = new WrittenPublishes(this.counters);

  constructor(options: SessionOptions, hooks: SessionHooks) {
    this.#hooks = hooks;
    this.#gate = new SendGate(options.throttle, this.counters, (waitMs) => hooks.throttled(waitMs));
    this.#pingTimeoutMs = options.pingTimeoutMs;
    const ids = new PacketIds();
    this.outgoing = new OutgoingPublishes(options, ids, this.#acknowledgements, this.counters, (exchange, policy) => {
      this.counters.publishesDropped++;
      hooks.publishDropped(exchange, policy);
    });
    this.subscriptions = new Subscriptions(
      subscriptionCapacity(options),
      ids,
      this.counters,
      hooks.subscriptionRefused,
    );
    this.incoming = new IncomingMessages(options, this.#acknowledgements, this.counters, {
      ...hooks,
      waitsForAnswer: () => this.waitsForAnswer,
    });
  }

  /** New options count from now on; what was accepted under the old ones stays. */
  configure(options: SessionOptions): void {
    this.outgoing.queue.configure(options);
    this.subscriptions.configure(subscriptionCapacity(options));
    this.incoming.configure(options);
    this.#gate.configure(options.throttle);
    this.#pingTimeoutMs = options.pingTimeoutMs;
  }

  /**
   * @param sessionPresent whether the broker has kept this very session
   * @param isInDoubt it may be another one, begun by a CONNECT whose answer was lost
   */
  connected(negotiated: Negotiated, sessionPresent: boolean, nowMs: number, isInDoubt = false): void {
    this.#negotiated = negotiated;
    this.#epoch++;
    this.keepAlive.connected(nowMs, negotiated.keepAliveSeconds, this.#pingTimeoutMs);
    this.outgoing.connected(negotiated, this.#epoch, sessionPresent);
    // A session that began without our knowledge has none of them, and making them again harms no other.
    this.subscriptions.connected(negotiated, sessionPresent && !isInDoubt);
    const { protocolVersion, sessionExpirySeconds } = negotiated;
    this.incoming.connected(protocolVersion, this.#epoch, sessionPresent, sessionExpirySeconds > 0);
  }

  /** @param flushing the write that will not complete, if there is one */
  disconnected(cause: MqttError, flushing: WrittenPublishes | undefined, nowMs: number): void {
    this.#negotiated = undefined;
    this.isWriteBlocked = false;
    // Without a connection nothing waits for the throttle: an outage must not end in a burst.
    this.#gate.idle(nowMs);
    this.#acknowledgements.clear();
    this.#auths = [];
    this.keepAlive.disconnected();
    this.outgoing.disconnected();
    this.subscriptions.disconnected();
    this.incoming.disconnected();
    const error = new MqttConnectionError(
      'MQTT_CONNECTION_LOST',
      'the connection ended while a QoS 0 message was being written',
      'unknown',
      { cause },
    );
    flushing?.fail(error);
    this.takeWritten()?.takeBack(this.outgoing.queue);
  }

  /** The throttle holds something back. */
  get isThrottled(): boolean {
    return this.#gate.isThrottled;
  }

  /** An outgoing exchange waits for the server on this connection: for an answer, or for being read. */
  get waitsForAnswer(): boolean {
    return this.isWriteBlocked || this.outgoing.inflight > 0 || this.subscriptions.waitsForAcknowledgement;
  }

  get isDrained(): boolean {
    return (
      this.outgoing.isDrained &&
      this.subscriptions.isDrained &&
      this.incoming.unsettled === 0 &&
      this.#acknowledgements.size === 0 &&
      this.#written.size === 0
    );
  }

  get hasAcknowledgements(): boolean {
    return this.#acknowledgements.size > 0;
  }

  /** When `write` should be called again although nothing happens. */
  get dueMs(): number {
    return Math.min(this.#gate.nextSendMs, this.keepAlive.dueMs);
  }

  /** Writes what may leave now, the most urgent first, until the writer is full or nothing is left. */
  write(writer: PacketWriter, nowMs: number): void {
    this.#gate.open();
    // What was written at once leaves in this write.
    this.outgoing.queue.forgetPast();
    if (!this.#acknowledgements.write(writer)) return;
    while (this.#auths.length > 0 && writer.hasRoom(this.#auths[0]!.length)) writer.raw(this.#auths.shift()!);
    if (this.keepAlive.wantsPing && writer.hasRoom(PING_BYTES)) {
      writer.pingreq();
      this.keepAlive.pingWritten(nowMs);
    }
    this.#writeThrottled(writer, nowMs);
  }

  /** Nothing would leave before a publish that was made now, which needs no leave of the throttle either. */
  get nothingWaits(): boolean {
    return (
      this.#acknowledgements.size === 0 &&
      this.#auths.length === 0 &&
      !this.keepAlive.wantsPing &&
      this.subscriptions.isDrained &&
      this.outgoing.nothingWaits &&
      !this.#gate.hasThrottle
    );
  }

  /** To be called when nothing waits. @returns undefined when the publish does not fit into this write, or this server */
  publishAtOnce(publish: PlainPublish, writer: PacketWriter): Promise<PublishResult> | undefined {
    if (!writer.hasRoom(publish.bytes) || !this.outgoing.sendAtOnce(publish, writer)) return undefined;
    return this.#written.addPlain(publish);
  }

  /** QoS 0 publishes since the last call: complete when the write is. */
  takeWritten(): WrittenPublishes | undefined {
    const written = this.#written;
    if (written.size === 0) return undefined;
    this.#written = new WrittenPublishes(this.counters);
    return written;
  }

  #writeThrottled(writer: PacketWriter, nowMs: number): void {
    const { outgoing, subscriptions } = this;
    for (let bytes = subscriptions.nextBytes(); bytes > 0; bytes = subscriptions.nextBytes()) {
      if (!this.#gate.mayLeave(bytes, writer, nowMs)) return;
      subscriptions.send(writer);
    }
    while (outgoing.hasReleaseToResend) {
      if (!this.#gate.mayLeave(PUBREL_BYTES, writer, nowMs)) return;
      outgoing.resendRelease();
      this.#acknowledgements.write(writer);
    }
    for (let exchange = outgoing.next(); exchange !== undefined; exchange = outgoing.next()) {
      if (outgoing.failIfUnsupported(exchange)) continue;
      if (!this.#gate.mayLeave(exchange.bytes, writer, nowMs)) return;
      outgoing.send(exchange, writer);
      if (exchange.qos === 0) this.#written.add(exchange);
    }
    this.#gate.idle(nowMs);
  }

  publish(flags: number, id: number, topic: string, payload: Buffer, properties?: IncomingProperties): void {
    this.incoming.receive(flags, id, topic, payload, properties);
  }

  acknowledgement(
    type: AcknowledgementType,
    id: number,
    reasonCode: number,
    properties: ReceivedProperties | undefined,
  ): void {
    switch (type) {
      case PacketType.Puback:
        return this.outgoing.puback(id, reasonCode, properties);
      case PacketType.Pubrec:
        return this.outgoing.pubrec(id, reasonCode, properties, this.#negotiated!.protocolVersion);
      case PacketType.Pubcomp:
        return this.outgoing.pubcomp(id, properties);
      case PacketType.Pubrel:
        return this.incoming.pubrel(id);
    }
  }

  subscriptionAcknowledgement(
    type: typeof PacketType.Suback | typeof PacketType.Unsuback,
    id: number,
    reasonCodes: readonly number[],
    properties: ReceivedProperties | undefined,
  ): void {
    this.subscriptions.acknowledged(type, id, reasonCodes, properties);
  }

  /** Any byte proves that the link lives; the connection has said so already. */
  pingresp(): void {}

  auth(reasonCode: number, properties: ReceivedProperties | undefined): void {
    this.#hooks.authReceived(reasonCode, properties);
  }

  /** Queues an AUTH packet of this connection. */
  sendAuth(packet: Buffer): void {
    this.#auths.push(packet);
  }

  disconnect(reasonCode: number, properties: ReceivedProperties | undefined): never {
    throw new MqttServerDisconnectError(
      reasonCode,
      reasonText(reasonCode, properties?.reasonString),
      properties?.serverReference,
    );
  }

  connack(): never {
    throw new MqttProtocolError('a second CONNACK [MQTT-3.2.0-2]');
  }

  /** Settles everything that is still open. */
  close(error: (delivery: 'not-sent' | 'unknown') => MqttError): void {
    this.incoming.close();
    this.outgoing.failAll(error);
    this.subscriptions.failAll(error);
  }
}

/** A subscribe waits for its answer in any case, so those who may wait for the queue are as welcome as those in it. */
function subscriptionCapacity({ requestCapacity, overflow, maxWaiters }: RequestQueueLimits): number {
  return requestCapacity + (overflow === 'wait' ? maxWaiters : 0);
}
