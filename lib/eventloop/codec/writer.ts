import { Buffer } from 'node:buffer';
import { PacketType, type AcknowledgementType, type ProtocolVersion } from './packet-types.js';

/** One write to the socket carries at most about this much. @internal */
export const FLUSH_BYTES = 65_536;
const FIRST_CAPACITY_BYTES = 4_096;
const TOPIC_ALIAS = 0x23;
const PUBLISH = PacketType.Publish << 4;
const RETAINED_PUBLISH = PUBLISH | 1;
/** V8 looks a method of a Buffer up at every call, even in compiled code, which takes a twentieth of a publish. */
// oxlint-disable-next-line typescript/unbound-method -- called with its buffer
const { set } = Uint8Array.prototype;
/** What a topic alias adds to a PUBLISH. @internal */
export const ALIAS_BYTES = 3;

/** A PUBLISH in the form the writer needs. @internal */
export interface PublishToWrite {
  readonly topicBytes: Buffer;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  /** The encoded MQTT 5 properties, without their length; undefined for none. */
  readonly encodedProperties: Buffer | undefined;
}

/**
 * Encodes outgoing packets one behind the other into a buffer that leaves in one write. PUBLISH and the four
 * acknowledgements are written here by hand: they are the hot path. All other packets come encoded by mqtt-packet.
 *
 * @internal
 */
export class PacketWriter {
  #buffer: Buffer = Buffer.allocUnsafeSlow(FIRST_CAPACITY_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The bytes written so far; valid until the next `reset`. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
    // A single oversized packet must not keep its buffer for the life of the connection.
    if (this.#buffer.length > FLUSH_BYTES) this.#buffer = Buffer.allocUnsafeSlow(FLUSH_BYTES);
  }

  /** Whether a packet of this size may still join the present write. An empty writer takes any packet. */
  hasRoom(bytes: number): boolean {
    return this.#length === 0 || this.#length + bytes <= FLUSH_BYTES;
  }

  raw(packet: Buffer): void {
    this.#reserve(packet.length);
    this.#length += packet.copy(this.#buffer, this.#length);
  }

  pingreq(): void {
    this.#reserve(2);
    this.#buffer[this.#length++] = PacketType.Pingreq << 4;
    this.#buffer[this.#length++] = 0;
  }

  /** @param reasonCode left out of the packet when 0, which is what its absence means on MQTT 5 */
  acknowledgement(type: AcknowledgementType, id: number, reasonCode: number): void {
    this.#reserve(5);
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at++] = (type << 4) | (type === PacketType.Pubrel ? 2 : 0);
    buffer[at++] = reasonCode === 0 ? 2 : 3;
    buffer[at++] = id >> 8;
    buffer[at++] = id;
    if (reasonCode !== 0) buffer[at++] = reasonCode;
    this.#length = at;
  }

  /** A PUBLISH at QoS 0 without properties or alias, as `publish` writes it, in a tenth less time of the whole call: V8 inlines it. */
  plainPublish(packet: Pick<PublishToWrite, 'topicBytes' | 'payload' | 'retain'>, version: ProtocolVersion): void {
    const { topicBytes, payload } = packet;
    const properties = version === 5 ? 1 : 0;
    const remaining = 2 + topicBytes.length + properties + payload.length;
    this.#reserve(5 + remaining);
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at++] = packet.retain ? RETAINED_PUBLISH : PUBLISH;
    at = writeVarint(buffer, at, remaining);
    buffer[at++] = topicBytes.length >> 8;
    buffer[at++] = topicBytes.length;
    set.call(buffer, topicBytes, at);
    at += topicBytes.length;
    if (properties > 0) buffer[at++] = 0;
    set.call(buffer, payload, at);
    this.#length = at + payload.length;
  }

  /** @param alias MQTT 5: stands for the topic, or is set to it when `withTopic`; 0 for none */
  publish(
    packet: PublishToWrite,
    id: number,
    dup: boolean,
    version: ProtocolVersion,
    alias = 0,
    withTopic = true,
  ): void {
    const { payload, qos, encodedProperties } = packet;
    const topicBytes = withTopic ? packet.topicBytes.length : 0;
    const propertyBytes = (encodedProperties?.length ?? 0) + (alias > 0 ? ALIAS_BYTES : 0);
    const remaining = remainingLength(topicBytes, qos, payload.length, version, propertyBytes);
    this.#reserve(5 + remaining);
    const buffer = this.#buffer;
    let at = this.#length;
    buffer[at++] = (PacketType.Publish << 4) | (dup ? 8 : 0) | (qos << 1) | (packet.retain ? 1 : 0);
    at = writeVarint(buffer, at, remaining);
    buffer[at++] = topicBytes >> 8;
    buffer[at++] = topicBytes;
    if (withTopic) set.call(buffer, packet.topicBytes, at);
    at += topicBytes;
    if (qos > 0) {
      buffer[at++] = id >> 8;
      buffer[at++] = id;
    }
    if (version === 5) {
      at = writeVarint(buffer, at, propertyBytes);
      if (alias > 0) {
        buffer[at++] = TOPIC_ALIAS;
        buffer[at++] = alias >> 8;
        buffer[at++] = alias;
      }
      if (encodedProperties !== undefined) at += encodedProperties.copy(buffer, at);
    }
    set.call(buffer, payload, at);
    this.#length = at + payload.length;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes > this.#buffer.length) this.#grow(this.#length + bytes);
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.#buffer.length * 2, FLUSH_BYTES)));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Size of the whole packet, without a topic alias. @internal */
export function publishPacketBytes(packet: PublishToWrite, version: ProtocolVersion): number {
  const { topicBytes, qos, payload, encodedProperties } = packet;
  const remaining = remainingLength(topicBytes.length, qos, payload.length, version, encodedProperties?.length ?? 0);
  return 1 + varintBytes(remaining) + remaining;
}

function remainingLength(
  topicBytes: number,
  qos: number,
  payloadBytes: number,
  version: ProtocolVersion,
  propertyBytes: number,
): number {
  const properties = version === 5 ? varintBytes(propertyBytes) + propertyBytes : 0;
  return 2 + topicBytes + (qos > 0 ? 2 : 0) + properties + payloadBytes;
}

function varintBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

function writeVarint(buffer: Buffer, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}
