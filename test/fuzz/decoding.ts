import { MqttProtocolError } from '../../lib/eventloop/connection-errors.js';
import { Decoder } from '../../lib/eventloop/codec/decoder.js';
import { Framer } from '../../lib/eventloop/codec/framer.js';
import { PacketType } from '../../lib/eventloop/codec/packet-types.js';
import { line, recorder, type Event } from './events.js';
import { Failure } from './failure.js';
import type { FuzzInput } from './inputs.js';
import { TOPIC_ALIAS_MAXIMUM } from './packets.js';
import { Random } from './random.js';
import type { Version } from './specification.js';

export const MAX_PACKET_BYTES = 8_192;

export interface Decoded {
  readonly events: readonly Event[];
  /** Where each packet of `events` begins and ends; only when all bytes came in one chunk. */
  readonly bounds: readonly (readonly [start: number, end: number])[];
  readonly error: MqttProtocolError | undefined;
}

/** Feeds framer and decoder, as a connection does. */
export function decode(
  version: Version,
  chunks: Iterable<Buffer>,
  limits = { maxPacketBytes: MAX_PACKET_BYTES, topicAliasMaximum: TOPIC_ALIAS_MAXIMUM },
): Decoded {
  const framer = new Framer(version, limits.maxPacketBytes);
  const decoder = new Decoder(version, limits.topicAliasMaximum);
  const events: Event[] = [];
  const bounds: (readonly [number, number])[] = [];
  let error: MqttProtocolError | undefined;
  const sink = recorder((event) => {
    events.push(event);
    bounds.push([framer.start, framer.end]);
    if (event.type === PacketType.Connack) framer.connected();
  });
  try {
    for (const chunk of chunks) {
      // Lent, as a socket's is: whatever still points into it afterwards shows.
      const lent = Buffer.from(chunk);
      framer.push(lent);
      while (framer.next()) decoder.decode(framer, sink);
      framer.release();
      lent.fill(0xee);
    }
  } catch (thrown) {
    if (!(thrown instanceof MqttProtocolError)) throw new Failure('threw something else', thrown);
    error = thrown;
  }
  return { events, bounds, error };
}

/** As its header says; all bytes when it says more. */
export function firstPacketEnd(bytes: Buffer): number {
  let length = 0;
  for (let at = 1; at < Math.min(5, bytes.length); at++) {
    length += (bytes[at]! & 0x7f) * 128 ** (at - 1);
    if (bytes[at]! < 0x80) return Math.min(bytes.length, at + 1 + length);
  }
  return bytes.length;
}

export function* singleBytes(bytes: Buffer): Generator<Buffer> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

export function* randomChunks(bytes: Buffer): Generator<Buffer> {
  const random = new Random(bytes.length, bytes.at(-1));
  const longest = random.pick([2, 5, 12, 40]);
  for (let at = 0; at < bytes.length;) {
    const next = at + 1 + random.below(longest);
    yield bytes.subarray(at, next);
    at = next;
  }
}

/** The first target: one result whatever the chunks, and no error but a protocol error. */
export function checkDecoding({ version, bytes }: FuzzInput): Decoded {
  const whole = decode(version, [bytes]);
  for (const [name, chunks] of [
    ['single bytes', singleBytes(bytes)],
    ['random chunks', randomChunks(bytes)],
  ] as const) {
    const other = decode(version, chunks);
    const a = verdict(whole);
    const b = verdict(other);
    if (a !== b) throw new Failure(`another result in ${name}`, `whole:\n${a}\n${name}:\n${b}`);
  }
  return whole;
}

export function describe(error: MqttProtocolError): string {
  return `${error.code} 0x${error.reasonCode.toString(16)} ${error.message}`;
}

function verdict({ events, error }: Decoded): string {
  // Not before the end: a payload that shared memory with later packets would show it.
  return [...events.map(line), error === undefined ? 'no error' : describe(error)].join('\n');
}
