import mqttPacket, { type Packet } from 'mqtt-packet';
import type { Random } from './random.js';
import {
  connackReturnCodes,
  grantedReturnCodes,
  properties,
  reasons,
  Type,
  varint,
  type Kind,
  type PropertyRule,
  type Version,
} from './specification.js';

/** A packet in parts, so that a mutation can hit one of them and keep the lengths right, or break just a length. */
export interface Parts {
  readonly type: number;
  flags: number;
  /** In front of the properties: topic, packet identifier, flags, reason code. */
  head: Buffer[];
  /** Undefined: no property section at all. */
  properties: Buffer[] | undefined;
  /** Behind the properties: payload, reason codes. */
  tail: Buffer;
  lengthDelta: number;
  lengthPadding: number;
  propertyLengthDelta: number;
  propertyLengthPadding: number;
}

/** A client has exchanges under the low ones. */
const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 0x100, 0xffff];
export const texts = [
  '',
  'a',
  'a/b',
  'plant/7/state',
  '$SYS/x',
  '/',
  '\uFEFFbom',
  'é/日本/💧',
  '__proto__',
  'constructor',
  '7',
];
const topics = texts.filter((each) => each !== '');
const numbers = [0, 1, 2, 127, 128, 255, 256, 16_383, 16_384, 65_535];
export const TOPIC_ALIAS_MAXIMUM = 4;

export const uint16 = (number: number): Buffer => Buffer.from([(number >> 8) & 0xff, number & 0xff]);

const prefixed = (bytes: Buffer): Buffer => Buffer.concat([uint16(bytes.length), bytes]);

/** A text with its length, now and then a long one. */
export function text(random: Random, from: readonly string[] = texts): Buffer {
  return prefixed(Buffer.from(random.oneIn(60) ? random.pick(topics).repeat(1 + random.below(60)) : random.pick(from)));
}

function value(random: Random, kind: Kind, least: number): Buffer {
  switch (kind) {
    case 'flag':
      return Buffer.from([random.below(2)]);
    case 'uint16':
      return uint16(Math.max(least, random.pick(numbers)));
    case 'uint32':
      return Buffer.concat([
        uint16(random.oneIn(2) ? 0 : random.next()),
        uint16(Math.max(least, random.pick(numbers))),
      ]);
    case 'varint':
      return varint(random.oneIn(8) ? 268_435_455 : Math.max(least, random.pick(numbers)));
    case 'text':
      return text(random);
    case 'binary':
      return prefixed(random.bytes(random.below(12)));
    case 'pair':
      return Buffer.concat([text(random), text(random)]);
  }
}

/** One encoded property with a value that is allowed. */
export function property(random: Random, rule: PropertyRule): Buffer {
  const bytes =
    rule.name === 'topicAlias'
      ? uint16(1 + random.below(TOPIC_ALIAS_MAXIMUM))
      : value(random, rule.kind, rule.notZero ? 1 : 0);
  return Buffer.concat([Buffer.from([rule.id]), bytes]);
}

function someProperties(random: Random, type: number): Buffer[] {
  const allowed = properties.filter((rule) => rule.in.includes(type));
  const everyNth = random.pick([1, 2, 4, 8]);
  const chosen: Buffer[] = [];
  for (const rule of allowed) {
    if (!random.oneIn(everyNth)) continue;
    const times = rule.repeats ? 1 + random.below(3) : 1;
    for (let i = 0; i < times; i++) chosen.splice(random.below(chosen.length + 1), 0, property(random, rule));
  }
  return chosen;
}

/** A valid packet of this type. */
export function validParts(random: Random, version: Version, type: number): Parts {
  const parts: Parts = {
    type,
    flags: type === Type.Pubrel ? 2 : 0,
    head: [],
    properties: undefined,
    tail: Buffer.alloc(0),
    lengthDelta: 0,
    lengthPadding: 0,
    propertyLengthDelta: 0,
    propertyLengthPadding: 0,
  };
  const withProperties = (): void => {
    if (version === 5) parts.properties = random.oneIn(2) ? [] : someProperties(random, type);
  };
  switch (type) {
    case Type.Connack: {
      const code = random.oneIn(8)
        ? random.pick(version === 5 ? reasons[type]! : connackReturnCodes.map((_, i) => i))
        : 0;
      parts.head = [Buffer.from([code === 0 ? random.below(2) : 0, code])];
      withProperties();
      break;
    }
    case Type.Publish: {
      const qos = random.below(3);
      parts.flags = (qos << 1) | random.below(2) | (qos > 0 && random.oneIn(2) ? 8 : 0);
      withProperties();
      const alias = parts.properties?.some((bytes) => bytes[0] === 35) ?? false;
      parts.head = [alias && random.oneIn(4) ? uint16(0) : text(random, topics)];
      if (qos > 0) parts.head.push(uint16(random.pick(ids)));
      parts.tail = random.bytes(random.oneIn(100) ? 4_090 + random.below(20) : random.below(24));
      break;
    }
    case Type.Suback:
    case Type.Unsuback: {
      parts.head = [uint16(random.pick(ids))];
      withProperties();
      const codes = version === 5 ? reasons[type]! : grantedReturnCodes;
      const count = version === 4 && type === Type.Unsuback ? 0 : 1 + random.below(3);
      parts.tail = Buffer.from(Array.from({ length: count }, () => (random.oneIn(2) ? 0 : random.pick(codes))));
      break;
    }
    case Type.Pingresp:
      break;
    case Type.Disconnect:
    case Type.Auth:
      reasonCode(random, parts, withProperties);
      break;
    default:
      parts.head = [uint16(random.pick(ids))];
      if (version === 5) reasonCode(random, parts, withProperties);
  }
  return parts;
}

/** MQTT 5: reason code and properties may be left out at the end of a packet. */
function reasonCode(random: Random, parts: Parts, withProperties: () => void): void {
  if (random.oneIn(3)) return;
  parts.head.push(Buffer.from([random.oneIn(2) ? 0 : random.pick(reasons[parts.type]!)]));
  if (!random.oneIn(3)) withProperties();
}

/** The packet's bytes, faults of length included. */
export function assemble(parts: Parts): Buffer {
  const body = [...parts.head];
  if (parts.properties !== undefined) {
    const section = Buffer.concat(parts.properties);
    const length = Math.max(0, section.length + parts.propertyLengthDelta);
    body.push(varint(length, parts.propertyLengthPadding), section);
  }
  body.push(parts.tail);
  const bytes = Buffer.concat(body);
  const length = Math.min(268_435_455, Math.max(0, bytes.length + parts.lengthDelta));
  return Buffer.concat([Buffer.from([(parts.type << 4) | parts.flags]), varint(length, parts.lengthPadding), bytes]);
}

/** Valid packets as mqtt-packet writes them. */
export function generated(random: Random, version: Version): Buffer {
  const messageId = random.pick(ids);
  const qos = random.below(3) as 0 | 1 | 2;
  const packets: Packet[] = [
    {
      cmd: 'publish',
      topic: random.pick(topics),
      payload: random.pick(texts),
      qos,
      dup: qos > 0 && random.oneIn(2),
      retain: random.oneIn(2),
      ...(qos > 0 ? { messageId } : {}),
      properties: { contentType: 'text/plain', userProperties: { a: ['1', '2'], b: '3' }, subscriptionIdentifier: 7 },
    },
    { cmd: 'puback', messageId, reasonCode: 0 },
    { cmd: 'pubrec', messageId, reasonCode: 0 },
    { cmd: 'pubrel', messageId, reasonCode: 0 },
    { cmd: 'pubcomp', messageId, reasonCode: 0 },
    { cmd: 'suback', messageId, granted: [random.below(3), 0x80] },
    { cmd: 'pingresp' },
  ];
  return mqttPacket.generate(random.pick(packets), { protocolVersion: version });
}
