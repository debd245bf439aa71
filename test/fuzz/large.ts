import mqttPacket from 'mqtt-packet';
import { decode } from './decoding.js';
import { uint16 } from './packets.js';
import { varint } from './specification.js';

export const MIB = 1_048_576;
export const LARGEST_PACKET_BYTES = 268_435_460;
const CONNACK = Buffer.from('2003000000', 'hex');
const text = (value: string): Buffer => Buffer.concat([uint16(Buffer.byteLength(value)), Buffer.from(value)]);
const pair = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([38]), text(name), text(value)]);

/** A packet of about this size: fixed header, `head`, one property or code after the other, and nothing behind. */
function packet(first: number, head: Buffer, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([first]), varint(head.length + body.length), head, body]);
}

function withProperties(size: number, property: (index: number) => Buffer): Buffer {
  const section: Buffer[] = [];
  for (let bytes = 0, index = 0; bytes < size; index++) bytes += section[section.push(property(index)) - 1]!.length;
  const properties = Buffer.concat(section);
  return packet(0x30, Buffer.from([0, 1, 0x70]), Buffer.concat([varint(properties.length), properties]));
}

/** Packets that are as much work for a decoder as their size allows. */
export const largePackets: Readonly<Record<string, (size: number) => Buffer>> = {
  'one payload': (size) => packet(0x30, Buffer.from([0, 1, 0x70, 0]), Buffer.alloc(size)),
  'reason codes of a SUBACK': (size) => packet(0x90, Buffer.from([0, 1, 0]), Buffer.alloc(size)),
  'subscription identifiers': (size) => withProperties(size, () => Buffer.from([11, 1])),
  'user properties of one name': (size) => withProperties(size, () => pair('', '')),
  'user properties of many names': (size) => withProperties(size, (index) => pair(index.toString(36), '')),
  'user properties with long texts': (size) => withProperties(size, (index) => pair(`${index}`, 'é'.repeat(30_000))),
};

export const stream = (large: Buffer): Buffer => Buffer.concat([CONNACK, large]);

export function* chunksOf(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export interface Measured {
  readonly name: string;
  readonly chunkBytes: number;
  readonly msPerMib: number;
}

const limits = { maxPacketBytes: 4 * MIB, topicAliasMaximum: 0 };

/** CPU time per MiB, and the best of a few runs: it is the decoder that is to be measured and not its neighbours. */
export function measureLarge(size = MIB, runs = 5): Measured[] {
  const measured: Measured[] = [];
  for (const [name, build] of Object.entries(largePackets)) {
    const bytes = stream(build(size));
    const measure = (chunkBytes: number, read: () => void, label = name): void => {
      let best = Infinity;
      for (let run = 0; run < runs; run++) best = Math.min(best, cpuMs(read));
      measured.push({ name: label, chunkBytes, msPerMib: (best * MIB) / bytes.length });
    };
    for (const chunkBytes of [bytes.length, 65_536, 1_448, 64]) {
      measure(chunkBytes, () => {
        const { error, events } = decode(5, chunksOf(bytes, chunkBytes), limits);
        if (error !== undefined || events.length !== 2) throw error ?? new Error(`${name} was not read`);
      });
    }
    measure(bytes.length, () => void mqttPacket.parser({ protocolVersion: 5 }).parse(bytes), `${name}, mqtt-packet`);
  }
  return measured;
}

function cpuMs(act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** A header that announces the largest packet there can be, and the first bytes of it. */
export function announced(bytesBehind: number): Buffer {
  return Buffer.concat([
    CONNACK,
    Buffer.from([0x30]),
    varint(268_435_455),
    Buffer.from([0, 1, 0x70, 0]),
    Buffer.alloc(bytesBehind),
  ]);
}

/** Bytes of buffers that the framer allocates while it reads these bytes, three at a time so that no header comes whole. */
export function buffersFor(bytes: Buffer, maxPacketBytes: number): { bytes: number; reasonCode: number | undefined } {
  const { allocUnsafeSlow } = Buffer;
  let allocated = 0;
  Buffer.allocUnsafeSlow = (size) => {
    allocated += size;
    return allocUnsafeSlow(size);
  };
  try {
    const { error } = decode(5, chunksOf(bytes, 3), { maxPacketBytes, topicAliasMaximum: 0 });
    return { bytes: allocated, reasonCode: error?.reasonCode };
  } finally {
    Buffer.allocUnsafeSlow = allocUnsafeSlow;
  }
}
