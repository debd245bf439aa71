import { generate, type Packet } from 'mqtt-packet';
import { MqttProtocolError } from '../../../../lib/eventloop/connection-errors.js';
import { Decoder, type PacketSink } from '../../../../lib/eventloop/codec/decoder.js';
import { Framer } from '../../../../lib/eventloop/codec/framer.js';
import { packetTypeName, type ProtocolVersion } from '../../../../lib/eventloop/codec/packet-types.js';
import type { ReceivedProperties } from '../../../../lib/eventloop/codec/property-reader.js';
import type { IncomingProperties, QoS } from '../../../../lib/eventloop/messages.js';

/** What came out of the bytes. */
export type Decoded =
  | {
      readonly packet: 'CONNACK';
      readonly sessionPresent: boolean;
      readonly reasonCode: number;
      readonly properties?: ReceivedProperties;
    }
  | {
      readonly packet: 'PUBLISH';
      readonly topic: string;
      readonly payload: Buffer;
      readonly qos: QoS;
      readonly retain: boolean;
      readonly dup: boolean;
      readonly id: number;
      readonly properties: IncomingProperties | undefined;
    }
  | {
      readonly packet: string;
      readonly id?: number;
      readonly reasonCodes?: readonly number[];
      readonly reasonCode?: number;
      readonly properties?: ReceivedProperties;
    }
  /** The last one: nothing is read after it. */
  | { readonly violation: number; readonly message: string };

export interface DecodeOptions {
  /** Default: after CONNACK. */
  readonly connecting?: boolean;
  readonly maxPacketBytes?: number;
  readonly topicAliasMaximum?: number;
}

/** Feeds chunks through framer and decoder, as a connection does. Throws whatever is no MqttProtocolError. */
export class DecodeHarness {
  readonly decoded: Decoded[] = [];
  readonly #framer: Framer;
  readonly #decoder: Decoder;

  constructor(
    version: ProtocolVersion,
    { connecting = false, maxPacketBytes = 262_144, topicAliasMaximum = 10 }: DecodeOptions = {},
  ) {
    this.#framer = new Framer(version, maxPacketBytes);
    this.#decoder = new Decoder(version, topicAliasMaximum);
    if (!connecting) this.#framer.connected();
  }

  get isViolated(): boolean {
    const last = this.decoded.at(-1);
    return last !== undefined && 'violation' in last;
  }

  push(chunk: Buffer): this {
    if (this.isViolated) return this;
    // The chunk is lent, as a socket's is: whatever still points into it afterwards shows.
    const lent = Buffer.from(chunk);
    try {
      this.#framer.push(lent);
      while (this.#framer.next()) this.#decoder.decode(this.#framer, this.#sink);
    } catch (error) {
      if (!(error instanceof MqttProtocolError)) throw error;
      this.decoded.push({ violation: error.reasonCode, message: error.message });
    }
    this.#framer.release();
    lent.fill(0xee);
    return this;
  }

  readonly #sink: PacketSink = {
    connack: (sessionPresent, reasonCode, properties) => {
      this.decoded.push({ packet: 'CONNACK', sessionPresent, reasonCode, ...given(properties) });
      this.#framer.connected();
    },
    publish: (flags, id, topic, payload, properties) =>
      void this.decoded.push({
        packet: 'PUBLISH',
        topic,
        payload,
        qos: ((flags >> 1) & 3) as QoS,
        retain: (flags & 1) === 1,
        dup: (flags & 8) !== 0,
        id,
        properties,
      }),
    acknowledgement: (type, id, reasonCode, properties) =>
      void this.decoded.push({ packet: packetTypeName(type), id, reasonCode, ...given(properties) }),
    subscriptionAcknowledgement: (type, id, reasonCodes, properties) =>
      void this.decoded.push({ packet: packetTypeName(type), id, reasonCodes, ...given(properties) }),
    pingresp: () => void this.decoded.push({ packet: 'PINGRESP' }),
    disconnect: (reasonCode, properties) =>
      void this.decoded.push({ packet: 'DISCONNECT', reasonCode, ...given(properties) }),
    auth: (reasonCode, properties) => void this.decoded.push({ packet: 'AUTH', reasonCode, ...given(properties) }),
  };
}

function given(properties: ReceivedProperties | undefined): { properties?: ReceivedProperties } {
  return properties === undefined ? {} : { properties };
}

/** What comes out of these bytes, in these chunks. */
export function decode(
  version: ProtocolVersion,
  chunks: Buffer | readonly Buffer[],
  options?: DecodeOptions,
): Decoded[] {
  const harness = new DecodeHarness(version, options);
  for (const chunk of Array.isArray(chunks) ? (chunks as Buffer[]) : [chunks as Buffer]) harness.push(chunk);
  return harness.decoded;
}

/** A packet as mqtt-packet writes it. */
export function wire(version: ProtocolVersion, packet: Packet): Buffer {
  const bytes = generate(packet, { protocolVersion: version });
  if (bytes.length < 2) throw new Error(`mqtt-packet could not write this ${packet.cmd}`);
  return bytes;
}

/** `publish` with everything a test does not care about. */
export function publish(version: ProtocolVersion, fields: object): Buffer {
  const packet = { cmd: 'publish', topic: 'a/b', payload: 'x', qos: 0, dup: false, retain: false, ...fields };
  return wire(version, packet as Packet);
}

/** From text like `30 03 0001 61`. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

/** Pieces of this size. */
export function chunked(bytes: Buffer, size: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) chunks.push(bytes.subarray(start, start + size));
  return chunks;
}
