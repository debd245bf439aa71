import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Event } from './events.js';
import { properties as propertyRules, connackReturnCodes, Type, type Version } from './specification.js';

const typeOf: Readonly<Record<string, number>> = {
  connack: Type.Connack,
  publish: Type.Publish,
  puback: Type.Puback,
  pubrec: Type.Pubrec,
  pubrel: Type.Pubrel,
  pubcomp: Type.Pubcomp,
  suback: Type.Suback,
  unsuback: Type.Unsuback,
  pingresp: Type.Pingresp,
  disconnect: Type.Disconnect,
  auth: Type.Auth,
};

/** Where mqtt-packet 9.0.2 is wrong about a packet that is valid. As narrow as can be: everything else must be the same. */
const knownToBeWrong: readonly ((packet: Buffer, version: Version) => boolean)[] = [
  // Rejects an AUTH without reason code and properties, which means "success" (3.15.2.1; fixed, not released).
  (packet) => packet[0] === Type.Auth << 4 && packet[1] === 0,
];

const parsers = { 4: newParser(4), 5: newParser(5) };
let packets: Packet[] = [];
let errors: Error[] = [];

function newParser(protocolVersion: Version): ReturnType<typeof mqttPacket.parser> {
  const parser = mqttPacket.parser({ protocolVersion });
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => errors.push(error as Error));
  return parser;
}

/** @returns what mqtt-packet reads in one valid packet, or why it reads nothing */
export function mqttPacketReads(packet: Buffer, version: Version): Event | string {
  if (knownToBeWrong.some((isWrong) => isWrong(packet, version))) return 'known to be wrong';
  packets = [];
  errors = [];
  const left = parsers[version].parse(packet);
  if (errors.length === 0 && packets.length === 1 && left === 0) return toEvent(packets[0]!, version, packet);
  parsers[version] = newParser(version);
  return `${packets.length} packets, ${left} bytes left, errors: ${errors.map(({ message }) => message).join()}`;
}

interface Fields {
  readonly cmd: string;
  readonly messageId?: number;
  readonly returnCode?: number;
  readonly reasonCode?: number;
  readonly sessionPresent?: boolean;
  readonly granted?: number[];
  readonly properties?: Record<string, unknown>;
  readonly topic?: string;
  readonly payload?: Buffer;
  readonly qos: number;
  readonly dup: boolean;
  readonly retain: boolean;
}

function toEvent(packet: Packet, version: Version, bytes: Buffer): Event {
  const fields = packet as unknown as Fields;
  const type = typeOf[fields.cmd]!;
  const properties = toProperties(fields.properties ?? {});
  const id = fields.messageId;
  switch (type) {
    case Type.Pingresp:
      return { type };
    case Type.Publish: {
      const { topicAlias: _, ...rest } = properties;
      const flags = (fields.dup ? 8 : 0) | (fields.qos << 1) | (fields.retain ? 1 : 0);
      return { type, flags, id: id ?? 0, topic: fields.topic!, payload: fields.payload!, properties: rest };
    }
    case Type.Connack: {
      const { sessionPresent = false } = fields;
      // mqtt-packet reads the refusal of a server that speaks only 3.1.1 as if it had an MQTT 5 reason code.
      const code = version === 4 ? fields.returnCode! : fields.reasonCode!;
      const isReturnCode = version === 4 || bytes[1] === 2;
      return { type, sessionPresent, reasonCodes: [isReturnCode ? connackReturnCodes[code]! : code], properties };
    }
    case Type.Suback:
    case Type.Unsuback:
      return { type, id: id!, reasonCodes: fields.granted ?? [], properties };
    default:
      return { type, ...(id === undefined ? {} : { id }), reasonCodes: [fields.reasonCode ?? 0], properties };
  }
}

function toProperties(theirs: Record<string, unknown>): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const { name, theirs: theirName, kind, repeats } of propertyRules) {
    const value = theirs[theirName];
    if (value === undefined) continue;
    properties[name] = repeats && kind === 'varint' ? [value].flat() : value;
  }
  return properties;
}

type UserProperties = Readonly<Record<string, string | readonly string[]>>;

/**
 * The event without the values that mqtt-packet may lose: of a user property with several values it forgets an empty one that
 * comes before the others (fixed, not released). The oracle is compared with all of them.
 */
export function withoutLostValues(event: Event): Event {
  const all = event.properties?.['userProperties'] as UserProperties | undefined;
  if (all === undefined) return event;
  const userProperties: Record<string, string | readonly string[]> = Object.create(null);
  for (const [name, value] of Object.entries(all)) {
    const kept = [value].flat().filter((each) => each !== '');
    userProperties[name] = kept.length > 1 ? kept : (kept[0] ?? '');
  }
  return { ...event, properties: { ...event.properties, userProperties } };
}
