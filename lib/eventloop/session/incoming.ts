import { LinkedList } from '../admission/linked-list.js';
import { PacketType, type ProtocolVersion } from '../codec/packet-types.js';
import { isReasonCodeOf, REFUSED } from '../codec/reason-codes.js';
import { MqttConnectionError, MqttProtocolError } from '../connection-errors.js';
import { MqttArgumentError } from '../errors.js';
import type { IncomingMessage, IncomingProperties } from '../messages.js';
import type { AcknowledgementLane } from './acknowledgement-lane.js';
import type { Counters } from './counters.js';
import { Deliveries } from './deliveries.js';
import { HeldMessages } from './held-messages.js';
import { IdMap } from './id-map.js';
import type { DropReason, IncomingHost, IncomingLimits } from './incoming-limits.js';
import { ReceivedMessage, type MessageOwner } from './received-message.js';

export { NOT_CONSUMED } from './deliveries.js';

const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
const IDENTIFIER_NOT_FOUND = 0x92;
/** A server that does not read acknowledgements is not read from either. */
const MOST_UNSENT_ACKNOWLEDGEMENTS = 10_000;
/** What a small message takes beyond its payload, roughly. */
const MESSAGE_BYTES = 512;

/**
 * Messages from the broker: bounds, delivery once, acknowledgement in order of receipt. Never waits for a handler.
 *
 * @internal
 */
export class IncomingMessages implements MessageOwner {
  readonly #acknowledgements: AcknowledgementLane;
  readonly #counters: Counters;
  readonly #hooks: IncomingHost;
  #limits: IncomingLimits;
  /** Received on this connection and not acknowledged, in order of receipt. */
  readonly #ledger = new LinkedList<ReceivedMessage>();
  #ledgerBytes = 0;
  /** Of the ledger: with the application. Those that only wait behind an earlier one must not hold that one up. */
  #handedOver = 0;
  readonly #held = new HeldMessages();
  /** QoS 2 packet identifiers between PUBLISH and PUBREL [MQTT-4.3.3-10]; the message until its PUBREC is decided. */
  readonly #unreleased = new IdMap<ReceivedMessage>();
  /** Unacknowledged in the sense of Receive Maximum: QoS 2 counts until PUBCOMP. */
  #quotaUsed = 0;
  #version: ProtocolVersion = 4;
  #isKept = false;
  #epoch = 0;
  readonly #deliveries: Deliveries;
  #connected = false;
  #closed = false;
  /** The server has ignored our Receive Maximum before: from then on it is held back as one of MQTT 3.1.1 is. */
  #serverOverruns = false;

  constructor(limits: IncomingLimits, acknowledgements: AcknowledgementLane, counters: Counters, hooks: IncomingHost) {
    this.#limits = limits;
    this.#acknowledgements = acknowledgements;
    this.#counters = counters;
    this.#hooks = hooks;
    this.#deliveries = new Deliveries(hooks, {
      handled: (message) => this.#handled(message),
      failed: (message, error) => this.#failed(message, error),
      notConsumed: (message) => void this.leave(message),
    });
  }

  /** Messages whose handlers have not settled. */
  get unsettled(): number {
    return this.#deliveries.unsettled;
  }

  get unsettledBytes(): number {
    return this.#deliveries.unsettledBytes;
  }

  configure(limits: IncomingLimits): void {
    this.#limits = limits;
  }

  /** @param isKept whether the session outlives the connection */
  connected(version: ProtocolVersion, epoch: number, sessionPresent: boolean, isKept: boolean): void {
    this.#version = version;
    this.#isKept = isKept;
    this.#epoch = epoch;
    this.#connected = true;
    this.#quotaUsed = 0;
    if (sessionPresent) {
      // The server sends them again; a QoS 2 message that was never delivered must not count as one that was.
      for (const { qos, id } of this.#held.drain()) if (qos === 2) this.#unreleased.delete(id);
      this.#hooks.sentAgain();
    } else {
      this.#unreleased.clear();
      this.#releaseHeld();
    }
  }

  /** Acknowledgements never cross a connection. */
  disconnected(): void {
    for (let message = this.#ledger.shift(); message !== undefined; message = this.#ledger.shift()) {
      message.epoch = 0;
      message.inLedger = false;
      if (message.isLeft) this.#forget(message);
    }
    this.#ledgerBytes = 0;
    this.#handedOver = 0;
    this.#connected = false;
  }

  /** Delivers nothing more; the broker keeps what is not acknowledged. */
  close(): void {
    this.#closed = true;
  }

  /** Reading has to stop until handlers catch up. */
  get mustPause(): boolean {
    if (this.#acknowledgements.size > MOST_UNSENT_ACKNOWLEDGEMENTS) return true;
    const isFull =
      (this.#limits.incomingOverflow === 'backpressure' && this.#deliveries.isQos0Full(this.#limits)) ||
      // MQTT 3.1.1 has no Receive Maximum: the socket has to carry the message.
      (!this.#isBoundByServer() && this.#ledger.size >= this.#limits.receiveMaximum) ||
      this.#ledgerBytes > this.#limits.incomingCapacityBytes;
    return isFull && !this.#hooks.waitsForAnswer();
  }

  /**
   * @throws MqttProtocolError when the server exceeds our Receive Maximum for the first time [MQTT-3.3.4-9] and keeps the session
   * @throws MqttConnectionError when a server without Receive Maximum floods us while we cannot stop reading
   */
  receive(flags: number, id: number, topic: string, payload: Buffer, properties?: IncomingProperties): void {
    this.#counters.messagesReceived++;
    const message = new ReceivedMessage(flags, id, topic, payload, properties, this, this.#epoch);
    if (message.qos > 0) return this.#receiveAcknowledged(message);
    if (this.#closed) this.drop(message, 'closing');
    else if (this.#deliveries.isQos0Full(this.#limits) && this.#sheds()) this.drop(message, 'incoming-overflow');
    else this.#deliveries.deliver(message);
  }

  #sheds(): boolean {
    return this.#limits.incomingOverflow === 'drop-newest' || this.#hooks.waitsForAnswer();
  }

  /** Counts and reports a message that nobody handles. */
  drop(message: IncomingMessage, reason: DropReason): void {
    this.#counters.messagesDropped++;
    this.#hooks.messageDropped(message, reason);
  }

  pubrel(id: number): void {
    const message = this.#unreleased.get(id);
    const isKnown = message !== undefined && message.reasonCode !== undefined;
    if (isKnown) {
      this.#unreleased.delete(id);
      // Not counted when only its PUBREL came on this connection.
      if (message.epoch === this.#epoch) this.#quotaUsed--;
    } else this.#counters.unknownAcknowledgements++;
    // Always answered, else the server repeats it for ever [MQTT-4.3.3-11].
    this.#acknowledgements.push(PacketType.Pubcomp, id, isKnown || this.#version === 4 ? 0 : IDENTIFIER_NOT_FOUND);
  }

  acknowledge(message: ReceivedMessage, reasonCode: number): boolean {
    if (!isReasonCodeOf(PacketType.Puback, reasonCode)) {
      throw new MqttArgumentError(
        'reasonCode',
        reasonCode,
        'a PUBACK reason code: 0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99',
      );
    }
    if (message.qos === 0 || message.reasonCode !== undefined || message.isLeft) return false;
    message.reasonCode = this.#version === 5 ? reasonCode : 0;
    if (message.inLedger) this.#handedOver--;
    // Refused with PUBREC, its identifier is free at once [MQTT-4.3.3-9].
    if (message.reasonCode >= REFUSED) this.#forget(message);
    if (message.epoch !== this.#epoch || message.epoch === 0) return false;
    this.#releaseReady();
    // By hand it may come at any time.
    this.#hooks.settledLater();
    return true;
  }

  leave(message: ReceivedMessage): boolean {
    if (message.qos === 0 || message.reasonCode !== undefined || message.isLeft) return false;
    message.isLeft = true;
    if (!message.inLedger) this.#forget(message);
    return true;
  }

  /** When the identifier of a QoS 2 message comes again, it is a message to deliver. */
  #forget(message: ReceivedMessage): void {
    if (message.qos === 2 && this.#unreleased.get(message.id) === message) this.#unreleased.delete(message.id);
  }

  #receiveAcknowledged(message: ReceivedMessage): void {
    if (message.qos === 2) {
      const known = this.#unreleased.get(message.id);
      if (known !== undefined) return this.#repeated(known);
    }
    if (this.#closed) return;
    if (this.#isBoundByServer() && this.#quotaUsed >= this.#limits.receiveMaximum) {
      this.#serverOverruns = true;
      const violation = `more than ${this.#limits.receiveMaximum} unacknowledged messages [MQTT-3.3.4-9]`;
      // Where the session ends with the connection, all that the broker has for us would be lost.
      if (this.#isKept) throw new MqttProtocolError(violation, RECEIVE_MAXIMUM_EXCEEDED);
      this.#counters.protocolErrors++;
    }
    const isOver = this.#ledger.size >= this.#limits.receiveMaximum;
    // A server within our Receive Maximum must not be punished for it: it would send the same again, for ever.
    if (
      !this.#isBoundByServer() &&
      isOver &&
      this.#ledgerBytes + this.#ledger.size * MESSAGE_BYTES > this.#limits.incomingCapacityBytes
    ) {
      throw new MqttConnectionError(
        'MQTT_CONNECTION_LOST',
        `${this.#ledger.size} messages (${this.#ledgerBytes} bytes) are unacknowledged and the server sends more; limit its in-flight messages, speed up the handlers, or raise incomingCapacityBytes`,
      );
    }
    this.#quotaUsed++;
    if (message.qos === 2) this.#unreleased.set(message.id, message);
    this.#enter(message);
    // Even within our Receive Maximum: handlers of an earlier connection may still be at work.
    if (!this.#held.isEmpty || !this.#hasRoom()) this.#held.push(message);
    else this.#handOver(message);
  }

  readonly #hasRoom = (): boolean => {
    const { unsettled, unsettledQos0 } = this.#deliveries;
    // What is acknowledged on receipt leaves the ledger; else those of an earlier connection are at work too.
    const others = this.#limits.acknowledge === 'on-receive' ? 0 : unsettled - unsettledQos0;
    return !this.#closed && Math.max(this.#handedOver, others) < this.#limits.receiveMaximum;
  };

  readonly #handOver = (message: ReceivedMessage): void => {
    if (message.inLedger) this.#handedOver++;
    // What is acknowledged the server does not hold back: beyond the bound it is acknowledged after its handler.
    if (this.#limits.acknowledge === 'on-receive' && !this.#deliveries.isFull(this.#limits))
      this.acknowledge(message, 0);
    this.#deliveries.deliver(message);
  };

  #releaseHeld(): void {
    if (this.#connected) this.#held.release(this.#hasRoom, this.#handOver);
  }

  /** The same QoS 2 message again: acknowledged again, never delivered again. */
  #repeated(message: ReceivedMessage): void {
    this.#counters.duplicatesSuppressed++;
    if (message.inLedger) return;
    if (message.epoch !== this.#epoch) this.#quotaUsed++;
    message.epoch = this.#epoch;
    this.#enter(message);
    if (message.reasonCode === undefined) this.#handedOver++;
    this.#releaseReady();
  }

  #enter(message: ReceivedMessage): void {
    message.inLedger = true;
    this.#ledger.push(message);
    this.#ledgerBytes += message.payload.length;
  }

  /** Lets acknowledgements leave from the head of the ledger alone: in order of receipt [MQTT-4.6.0-2] [MQTT-4.6.0-3]. */
  #releaseReady(): void {
    for (let message = this.#ledger.head; message?.reasonCode !== undefined; message = this.#ledger.head) {
      this.#ledger.remove(message);
      message.inLedger = false;
      this.#ledgerBytes -= message.payload.length;
      if (message.qos === 1 || message.reasonCode >= REFUSED) this.#quotaUsed--;
      else this.#unreleased.set(message.id, message.remnant());
      const type = message.qos === 1 ? PacketType.Puback : PacketType.Pubrec;
      this.#acknowledgements.push(type, message.id, message.reasonCode);
    }
    this.#releaseHeld();
  }

  /** It knows our Receive Maximum and keeps to it. */
  #isBoundByServer(): boolean {
    return this.#version === 5 && !this.#serverOverruns;
  }

  #handled(message: ReceivedMessage): void {
    if (message.qos === 0) return;
    if (this.#limits.acknowledge !== 'manual') this.acknowledge(message, 0);
    this.#releaseHeld();
  }

  /** A failed message is refused where the protocol can say so. Left unacknowledged it would hold up all that came after it. */
  #failed(message: ReceivedMessage, error: unknown): void {
    this.#counters.handlerFailures++;
    this.#hooks.handlerFailed(message, error);
    if (message.qos === 0) return;
    this.acknowledge(message, REFUSED);
    this.#releaseHeld();
  }
}
