import type { IncomingProperties } from '../messages.js';
import { MqttProtocolError } from '../connection-errors.js';
import type { Framer } from './framer.js';
import { packetTypeName, PacketType, type AcknowledgementType, type ProtocolVersion } from './packet-types.js';
import { FieldReader, type ReceivedProperties } from './property-reader.js';
import { isReasonCodeOf, reasonOfReturnCode } from './reason-codes.js';
import { TopicCache } from './topic-cache.js';

const QOS_FLAGS = 0b0110;

/** Where decoded packets go. @internal */
export interface PacketSink {
  /** Reason codes are those of MQTT 5 on both versions. */
  connack(sessionPresent: boolean, reasonCode: number, properties: ReceivedProperties | undefined): void;
  /**
   * Not as one object: most messages need none but the one they are delivered as.
   *
   * @param flags - of the first byte: DUP, QoS, RETAIN
   * @param id - 0 for QoS 0
   */
  publish(flags: number, id: number, topic: string, payload: Buffer, properties?: IncomingProperties): void;
  acknowledgement(
    type: AcknowledgementType,
    id: number,
    reasonCode: number,
    properties: ReceivedProperties | undefined,
  ): void;
  /** `reasonCodes` is empty for the UNSUBACK of MQTT 3.1.1. */
  subscriptionAcknowledgement(
    type: typeof PacketType.Suback | typeof PacketType.Unsuback,
    id: number,
    reasonCodes: readonly number[],
    properties: ReceivedProperties | undefined,
  ): void;
  pingresp(): void;
  disconnect(reasonCode: number, properties: ReceivedProperties | undefined): void;
  auth(reasonCode: number, properties: ReceivedProperties | undefined): void;
}

/**
 * Decodes one framed packet at a time and validates it on the way (docs/decisions/strict-decoder.md).
 *
 * @internal
 */
export class Decoder {
  readonly #version: ProtocolVersion;
  readonly #topicAliasMaximum: number;
  readonly #wantsProblemInformation: boolean;
  readonly #topics = new TopicCache();
  /** Aliases die with the connection [MQTT-3.3.2-7]; so does this decoder. */
  readonly #aliases = new Map<number, string>();

  constructor(version: ProtocolVersion, topicAliasMaximum: number, wantsProblemInformation = true) {
    this.#version = version;
    this.#topicAliasMaximum = topicAliasMaximum;
    this.#wantsProblemInformation = wantsProblemInformation;
  }

  /** @throws MqttProtocolError on a malformed packet */
  decode(framer: Framer, sink: PacketSink): void {
    const { buffer, bodyStart, end } = framer;
    const first = buffer[framer.start]!;
    const type = first >> 4;
    switch (type) {
      case PacketType.Publish:
        return this.#publish(first & 0xf, framer, sink);
      case PacketType.Puback:
      case PacketType.Pubrec:
      case PacketType.Pubrel:
      case PacketType.Pubcomp:
        return this.#acknowledgement(type, buffer, bodyStart, end, sink);
      case PacketType.Pingresp:
        return sink.pingresp();
      case PacketType.Connack:
        return this.#connack(new FieldReader(type, buffer, bodyStart, end), sink);
      case PacketType.Suback:
      case PacketType.Unsuback:
        return this.#subscriptionAcknowledgement(type, new FieldReader(type, buffer, bodyStart, end), sink);
      case PacketType.Disconnect: {
        const { reasonCode, properties } = reasonAndProperties(type, new FieldReader(type, buffer, bodyStart, end));
        return sink.disconnect(reasonCode, properties);
      }
      default: {
        const { reasonCode, properties } = reasonAndProperties(type, new FieldReader(type, buffer, bodyStart, end));
        this.#assertWanted(type, properties);
        return sink.auth(reasonCode, properties);
      }
    }
  }

  #publish(flags: number, framer: Framer, sink: PacketSink): void {
    const { buffer, bodyStart, end } = framer;
    const hasId = (flags & QOS_FLAGS) > 0;
    const topicStart = bodyStart + 2;
    const topicEnd = topicStart + ((buffer[bodyStart]! << 8) | buffer[bodyStart + 1]!);
    let at = topicEnd + (hasId ? 2 : 0);
    if (at + (this.#version === 5 ? 1 : 0) > end)
      throw new MqttProtocolError('PUBLISH with a topic that runs past its end', 0x81);
    const id = hasId ? packetId(buffer, topicEnd) : 0;
    let properties: IncomingProperties | undefined;
    let topic: string | undefined;
    if (this.#version === 5) {
      if (buffer[at] === 0) at++;
      else {
        const reader = new FieldReader(PacketType.Publish, buffer, at, end);
        const received = reader.properties() ?? {};
        at = reader.at;
        properties = withoutTopicAlias(received);
        topic = this.#resolveAlias(received.topicAlias, framer.view, topicStart, topicEnd);
      }
    }
    if (topic === undefined) {
      if (topicEnd === topicStart) throw new MqttProtocolError('PUBLISH without a topic [MQTT-4.7.3-1]', 0x82);
      topic = this.#topics.decode(framer.view, topicStart, topicEnd);
    }
    sink.publish(flags, id, topic, framer.rest(at), properties);
  }

  #resolveAlias(alias: number | undefined, bytes: DataView, topicStart: number, topicEnd: number): string | undefined {
    if (alias === undefined) return undefined;
    if (alias < 1 || alias > this.#topicAliasMaximum) {
      throw new MqttProtocolError(
        `topic alias ${alias} where at most ${this.#topicAliasMaximum} are allowed [MQTT-3.3.2-8]`,
        0x94,
      );
    }
    if (topicEnd > topicStart) {
      const topic = this.#topics.decode(bytes, topicStart, topicEnd);
      this.#aliases.set(alias, topic);
      return topic;
    }
    const topic = this.#aliases.get(alias);
    if (topic === undefined) throw new MqttProtocolError(`topic alias ${alias} that was never set`, 0x82);
    return topic;
  }

  #connack(reader: FieldReader, sink: PacketSink): void {
    const flags = reader.byte();
    const code = reader.byte();
    if (flags > 1) throw reader.malformed('reserved flags [MQTT-3.2.2-1]');
    // A server that speaks only 3.1.1 refuses our MQTT 5 CONNECT in its own form, without properties.
    const isReturnCode = this.#version === 4 || reader.at === reader.end;
    const reasonCode = isReturnCode
      ? reasonOfReturnCode(code)
      : isReasonCodeOf(PacketType.Connack, code)
        ? code
        : undefined;
    if (reasonCode === undefined || (isReturnCode && this.#version === 5 && code === 0))
      throw reader.malformed(`code ${code}`);
    if (flags === 1 && reasonCode !== 0)
      throw new MqttProtocolError('CONNACK that refuses, with Session Present [MQTT-3.2.2-6]', 0x82);
    const properties = isReturnCode ? undefined : reader.properties();
    reader.finish();
    sink.connack(flags === 1, reasonCode, properties);
  }

  #subscriptionAcknowledgement(
    type: typeof PacketType.Suback | typeof PacketType.Unsuback,
    reader: FieldReader,
    sink: PacketSink,
  ): void {
    const id = reader.uint16();
    if (id === 0) throw reader.malformed('packet identifier 0 [MQTT-2.2.1-3]');
    const properties = this.#version === 5 ? reader.properties() : undefined;
    this.#assertWanted(type, properties);
    const reasonCodes = new Array<number>(reader.end - reader.at);
    for (let i = 0; i < reasonCodes.length; i++) {
      const code = reader.byte();
      if (!isReasonCodeOf(type, code) || (this.#version === 4 && code > 0x80))
        throw reader.malformed(`reason code 0x${code.toString(16)}`);
      reasonCodes[i] = code;
    }
    if (reasonCodes.length === 0 && (type === PacketType.Suback || this.#version === 5))
      throw reader.malformed('no reason codes');
    sink.subscriptionAcknowledgement(type, id, reasonCodes, properties);
  }

  #acknowledgement(type: AcknowledgementType, buffer: Buffer, bodyStart: number, end: number, sink: PacketSink): void {
    const id = packetId(buffer, bodyStart);
    if (end - bodyStart === 2) return sink.acknowledgement(type, id, 0, undefined);
    const { reasonCode, properties } = reasonAndProperties(type, new FieldReader(type, buffer, bodyStart + 2, end));
    this.#assertWanted(type, properties);
    sink.acknowledgement(type, id, reasonCode, properties);
  }

  #assertWanted(type: number, properties: ReceivedProperties | undefined): void {
    if (this.#wantsProblemInformation || (properties?.reasonString ?? properties?.userProperties) === undefined) return;
    throw new MqttProtocolError(`${packetTypeName(type)} with Problem Information nobody asked for [MQTT-3.1.2-29]`);
  }
}

/** MQTT 5: both may be left out at the end of a packet; no reason code means 0. */
function reasonAndProperties(
  type: number,
  reader: FieldReader,
): { reasonCode: number; properties: ReceivedProperties | undefined } {
  const reasonCode = reader.at < reader.end ? reader.byte() : 0;
  if (!isReasonCodeOf(type, reasonCode)) throw reader.malformed(`reason code 0x${reasonCode.toString(16)}`);
  const properties = reader.at < reader.end ? reader.properties() : undefined;
  reader.finish();
  return { reasonCode, properties };
}

/** It is between the server and this connection. Most messages have none, and need no copy. */
function withoutTopicAlias(received: ReceivedProperties): IncomingProperties {
  if (received.topicAlias === undefined) return received;
  const { topicAlias: _, ...others } = received;
  return others;
}

function packetId(buffer: Buffer, at: number): number {
  const id = (buffer[at]! << 8) | buffer[at + 1]!;
  if (id === 0) throw new MqttProtocolError('packet identifier 0 [MQTT-2.2.1-3]', 0x81);
  return id;
}
