import { assemble, generated, property, text, uint16, validParts, type Parts } from './packets.js';
import { Random } from './random.js';
import { properties, reasons, serverTypes, Type, varint, type Version } from './specification.js';

/** What a server sends on one connection, CONNACK first, and which client it meets. */
export interface FuzzInput {
  readonly version: Version;
  /** Which of the session target's clients. */
  readonly profile: number;
  readonly bytes: Buffer;
}

export const PROFILES = 6;

const interesting = [
  0x00, 0x01, 0x02, 0x04, 0x7f, 0x80, 0x81, 0xff, 0x10, 0x20, 0x30, 0x40, 0x62, 0x90, 0xb0, 0xd0, 0xe0,
];
/** Ill-formed UTF-8: a surrogate, a truncated sequence, an overlong one; then U+0000 and wildcards. */
const badTexts = ['eda080', 'c3', 'c0af', 'ff', '00', '2b', '23', 'f4908080'].map((hex) => Buffer.from(hex, 'hex'));

const connectedTypes = serverTypes.filter((type) => type !== Type.Connack && type !== Type.Auth);
/** Publishes and their acknowledgements are what most streams are made of. */
const usualTypes = [Type.Publish, Type.Publish, Type.Publish, Type.Puback, Type.Pubrec, Type.Pubrel, Type.Pubcomp];

/** The input with this number: it depends on nothing else. */
export function inputAt(seed: number, index: number): FuzzInput {
  const random = new Random(seed, index);
  const version = random.oneIn(2) ? 5 : 4;
  const profile = random.below(PROFILES);
  if (random.oneIn(6)) return { version, profile, bytes: dialogue(random, version) };
  const faulty = !random.oneIn(4);
  const packets = [connack(random, version, faulty && random.oneIn(8))];
  const count = 1 + random.below(4);
  const faults = faulty ? 1 + random.below(count) : 0;
  for (let i = 0; i < count; i++) packets.push(packet(random, version, i >= count - faults));
  if (!faulty || random.oneIn(2)) return { version, profile, bytes: Buffer.concat(packets) };
  return { version, profile, bytes: mutated(random, packets) };
}

/** Valid packets about few identifiers, so that exchanges get to their end, are repeated, and answered twice. */
function dialogue(random: Random, version: Version): Buffer {
  const packets = [connack(random, version, false)];
  // The client's own exchanges, or the server's.
  const first = random.pick([1, 3, 5]);
  for (let count = 4 + random.below(9); count > 0; count--) {
    const parts = validParts(random, version, random.pick(usualTypes));
    const id = uint16(first + random.below(3));
    if (parts.type !== Type.Publish) {
      parts.head = [id];
      if (random.oneIn(3)) parts.properties = undefined;
      else if (version === 5) parts.head.push(Buffer.from([random.oneIn(4) ? random.pick(reasons[parts.type]!) : 0]));
      if (parts.head.length === 1) parts.properties = undefined;
    } else if (parts.head.length > 1) parts.head[1] = id;
    packets.push(assemble(parts));
  }
  return Buffer.concat(packets);
}

function connack(random: Random, version: Version, faulty: boolean): Buffer {
  if (!faulty && random.oneIn(2)) return Buffer.from(version === 5 ? '2003000000' : '20020000', 'hex');
  const parts = validParts(random, version, Type.Connack);
  if (faulty) breakParts(random, parts);
  return assemble(parts);
}

function packet(random: Random, version: Version, mayBreak: boolean): Buffer {
  if (random.oneIn(5)) return generated(random, version);
  const types = random.oneIn(2) ? usualTypes : mayBreak && random.oneIn(8) ? serverTypes : connectedTypes;
  let type = random.pick(types);
  // These two end the connection, and what follows is not looked at.
  if (type === Type.Disconnect && (version === 4 || random.oneIn(2))) type = Type.Publish;
  const parts = validParts(random, version, type);
  if (mayBreak && random.oneIn(2)) for (let i = random.below(2); i >= 0; i--) breakParts(random, parts);
  return assemble(parts);
}

/** Faults that only a writer of packets can make well: the bytes around them stay right. */
function breakParts(random: Random, parts: Parts): void {
  const section = parts.properties;
  switch (random.below(16)) {
    case 0:
      return void (parts.flags = random.below(16));
    case 1:
      return void (parts.lengthDelta = random.pick([-3, -2, -1, 1, 2, 3, 100, 20_000, 268_000_000]));
    case 2:
      return void (parts.lengthPadding = 1 + random.below(4));
    case 3:
      return void (parts.propertyLengthDelta = random.pick([-2, -1, 1, 2, 127, 16_384]));
    case 4:
      return void (parts.propertyLengthPadding = 1 + random.below(4));
    case 5:
      // A property that stands there already, or one of any packet type.
      return void section?.push(
        section.length > 0 && random.oneIn(2) ? random.pick(section) : property(random, random.pick(properties)),
      );
    case 6:
      return void section?.push(Buffer.from([random.below(256), random.below(4)]));
    case 7:
      return void section?.push(Buffer.concat([Buffer.from([11]), varint(random.below(2), random.below(5))]));
    case 8:
      return void section?.push(Buffer.concat([Buffer.from([random.pick([3, 8, 31])]), badText(random)]));
    case 9:
      return void section?.push(Buffer.concat([Buffer.from([38]), text(random), badText(random)]));
    case 10:
      // Zero, or more than is allowed, where a number stands.
      return void section?.push(
        Buffer.concat([
          Buffer.from([random.pick([1, 33, 35, 36, 37, 40])]),
          uint16(random.pick([0, 1, 2, 5, 256, 512])),
        ]),
      );
    case 11:
      return void parts.head.splice(0, 1, parts.type === Type.Publish ? badText(random) : uint16(0));
    case 12:
      return void parts.head.splice(random.below(2), 1, uint16(random.pick([0, 1, 0xffff])));
    case 13:
      return void parts.head.pop();
    case 14:
      return void (parts.tail = Buffer.concat([parts.tail, random.bytes(1 + random.below(3))]));
    default:
      parts.tail = Buffer.alloc(0);
      if (random.oneIn(2)) parts.properties = undefined;
  }
}

function badText(random: Random): Buffer {
  const bytes = Buffer.concat([Buffer.from(random.pick(['', 'a/'])), random.pick(badTexts)]);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

/** One to three faults anywhere in the bytes. */
function mutated(random: Random, packets: Buffer[]): Buffer {
  // Seldom before the end of CONNACK: without it there is nothing to see.
  const from = random.oneIn(8) ? 0 : packets[0]!.length;
  let bytes: Buffer = Buffer.concat(packets);
  for (let faults = 1 + random.below(3); faults > 0 && bytes.length > from; faults--)
    bytes = mutateOnce(random, bytes, from);
  return bytes;
}

function mutateOnce(random: Random, bytes: Buffer, from: number): Buffer {
  const at = from + random.below(bytes.length - from);
  const until = Math.min(bytes.length, at + 1 + random.below(random.oneIn(3) ? 32 : 3));
  const cut = bytes.subarray(at, until);
  const splice = (insert: Buffer, keepFrom: number): Buffer =>
    Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(keepFrom)]);
  switch (random.below(9)) {
    case 0:
    case 1: {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << random.below(8);
      return flipped;
    }
    case 2:
      return splice(Buffer.from([random.oneIn(2) ? random.pick(interesting) : random.next() & 0xff]), at + 1);
    case 3:
      return splice(random.bytes(1 + random.below(4)), at);
    case 4:
      return splice(Buffer.alloc(0), until);
    case 5:
      return splice(Buffer.concat([cut, cut]), until);
    case 6: {
      // What stands somewhere else.
      const other = from + random.below(bytes.length - from);
      return splice(bytes.subarray(other, other + 1 + random.below(24)), until);
    }
    case 7:
      return bytes.subarray(0, at + 1);
    default:
      return splice(varint(random.pick([0, 1, 127, 128, 16_384, 268_435_455]), random.below(3)), at + 1);
  }
}
