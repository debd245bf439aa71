import { Buffer } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';
import { packetTypeName, PacketType, type ProtocolVersion } from './packet-types.js';

/** What `Buffer.from` makes of memory, without its checks: a view is made for every message. */
const BufferView = (Buffer as unknown as { readonly [Symbol.species]: BufferViewConstructor })[Symbol.species];
type BufferViewConstructor = new (memory: ArrayBufferLike, start: number, length: number) => Buffer;

const EMPTY = Buffer.alloc(0);
const NO_VIEW = new DataView(EMPTY.buffer, 0, 0);
const LONGEST_HEADER = 5;
const FIRST_STASH_BYTES = 4_096;
/** A message that is kept pins at most about this much beside itself; a quarter of what a view on the socket's chunk would. */
const SHARED_COPY_BYTES = 16_384;
const LARGE_PAYLOAD_BYTES = 4_096;

/** What the server may send: allowed first bytes, and the shortest and longest body of each packet type. */
interface Grammar {
  readonly allowed: Uint8Array;
  readonly shortest: Uint32Array;
  readonly longest: Uint32Array;
}

function grammar(version: ProtocolVersion, connected: boolean): Grammar {
  const allowed = new Uint8Array(256);
  const shortest = new Uint32Array(16);
  const longest = new Uint32Array(16).fill(0xffff_ffff);
  const permit = (type: number, flags: number, least: number, most?: number): void => {
    allowed[(type << 4) | flags] = 1;
    shortest[type] = least;
    if (most !== undefined) longest[type] = most;
  };
  const v5 = version === 5;
  if (connected) {
    // QoS 3 [MQTT-3.3.1-4] and DUP with QoS 0 [MQTT-3.3.1-2] are not among these flags.
    for (const flags of [0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0xa, 0xb, 0xc, 0xd])
      permit(PacketType.Publish, flags, v5 ? 3 : 2);
    for (const type of [PacketType.Puback, PacketType.Pubrec, PacketType.Pubcomp])
      permit(type, 0, 2, v5 ? undefined : 2);
    permit(PacketType.Pubrel, 2, 2, v5 ? undefined : 2);
    permit(PacketType.Suback, 0, v5 ? 4 : 3);
    permit(PacketType.Unsuback, 0, v5 ? 4 : 2, v5 ? undefined : 2);
    permit(PacketType.Pingresp, 0, 0, 0);
    if (v5) permit(PacketType.Disconnect, 0, 0);
  } else {
    // A server that speaks only 3.1.1 answers an MQTT 5 CONNECT in its own, two byte form.
    permit(PacketType.Connack, 0, 2, v5 ? undefined : 2);
  }
  if (v5) permit(PacketType.Auth, 0, 0);
  return { allowed, shortest, longest };
}

const GRAMMARS = {
  4: { connecting: grammar(4, false), connected: grammar(4, true) },
  5: { connecting: grammar(5, false), connected: grammar(5, true) },
};

/**
 * Cuts the byte stream into packets, each in one contiguous buffer. Checks type, flags, length encoding and size from the
 * header alone, before anything is buffered. What comes out never depends on how the bytes were chunked; cost is linear.
 *
 * @internal
 */
export class Framer {
  /** After `next()` returned true: the buffer that holds the packet, */
  buffer: Buffer = EMPTY;
  /** the same bytes, for reading several at once, */
  view: DataView = NO_VIEW;
  /** where its first byte is, */
  start = 0;
  /** where its body begins, */
  bodyStart = 0;
  /** and where it ends. */
  end = 0;

  readonly #version: ProtocolVersion;
  readonly #maxPacketBytes: number;
  #grammar: Grammar;
  #chunk: Buffer = EMPTY;
  #offset = 0;
  /** The beginning of a packet whose rest has not come yet. */
  #stash: Buffer = EMPTY;
  #stashed = 0;
  /** A copy of the chunk from `#copyStart` to `#copyEnd`. */
  #copy: ArrayBufferLike = EMPTY.buffer;
  #copyStart = 0;
  #copyEnd = 0;

  constructor(version: ProtocolVersion, maxPacketBytes: number) {
    this.#version = version;
    this.#maxPacketBytes = maxPacketBytes;
    this.#grammar = GRAMMARS[version].connecting;
  }

  /** CONNACK came: other packets are allowed from now on, and no second CONNACK [MQTT-3.2.0-2]. */
  connected(): void {
    this.#grammar = GRAMMARS[this.#version].connected;
  }

  /** The chunk is lent: call `release` before it is used for something else. */
  push(chunk: Buffer): void {
    this.#chunk =
      this.#offset === this.#chunk.length ? chunk : Buffer.concat([this.#chunk.subarray(this.#offset), chunk]);
    this.#offset = 0;
    this.#copyEnd = 0;
  }

  /** Lets go of the chunk; what has not been read of it is copied. */
  release(): void {
    this.#chunk = this.#offset === this.#chunk.length ? EMPTY : Buffer.from(this.#chunk.subarray(this.#offset));
    this.#offset = 0;
    this.#copyEnd = 0;
    this.#copy = EMPTY.buffer;
    this.buffer = EMPTY;
    this.view = NO_VIEW;
  }

  /** The present packet from `start` to its end, to be kept. Small parts share copies: one for many costs a fraction of one each. */
  rest(start: number): Buffer {
    const { buffer, end } = this;
    if (start === end) return EMPTY;
    // A packet that came in parts has a buffer of its own.
    if (buffer !== this.#chunk) return buffer.subarray(start, end);
    if (end > this.#copyEnd) {
      const copied = end - start >= LARGE_PAYLOAD_BYTES ? end : Math.min(start + SHARED_COPY_BYTES, buffer.length);
      const copy = Buffer.allocUnsafeSlow(copied - start);
      buffer.copy(copy, 0, start, copied);
      this.#copy = copy.buffer;
      this.#copyStart = start;
      this.#copyEnd = copied;
    }
    return new BufferView(this.#copy, start - this.#copyStart, end - start);
  }

  /**
   * Moves to the next whole packet.
   *
   * @throws MqttProtocolError on a header that the specification, the state or the size limit forbids. Feed nothing more then.
   */
  next(): boolean {
    if (this.#stashed > 0) return this.#nextFromStash();
    const total = this.#frameLength(this.#chunk, this.#offset, this.#chunk.length);
    if (total > 0 && this.#offset + total <= this.#chunk.length) {
      this.#show(this.#chunk);
      this.start = this.#offset;
      this.end = this.#offset = this.start + total;
      return true;
    }
    this.#stashRest(this.#chunk.length - this.#offset);
    return false;
  }

  #nextFromStash(): boolean {
    for (;;) {
      const total = this.#frameLength(this.#stash, 0, this.#stashed);
      const missing = (total > 0 ? total : this.#stashed + 1) - this.#stashed;
      const available = this.#chunk.length - this.#offset;
      this.#stashRest(Math.min(missing, available));
      if (missing > available) return false;
      if (total === 0) continue;
      this.#show(this.#stash);
      this.start = 0;
      this.end = total;
      // The packet may be kept by its receiver: the next one gets a stash of its own.
      this.#stash = EMPTY;
      this.#stashed = 0;
      return true;
    }
  }

  #show(buffer: Buffer): void {
    if (buffer === this.buffer) return;
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  #stashRest(count: number): void {
    if (count === 0) return;
    const needed = this.#stashed + count;
    if (needed > this.#stash.length) {
      // Grows with what has really come, never with what a header announces.
      const larger = Buffer.allocUnsafeSlow(
        Math.max(needed, Math.min(this.#stash.length * 2, needed + this.#maxPacketBytes), FIRST_STASH_BYTES),
      );
      this.#stash.copy(larger, 0, 0, this.#stashed);
      this.#stash = larger;
    }
    this.#chunk.copy(this.#stash, this.#stashed, this.#offset, this.#offset + count);
    this.#stashed = needed;
    this.#offset += count;
  }

  /** Total length of the packet that begins at `offset`, 0 while its header is incomplete. Sets `bodyStart`. */
  #frameLength(buffer: Buffer, offset: number, end: number): number {
    if (offset >= end) return 0;
    const first = buffer[offset]!;
    const type = first >> 4;
    if (this.#grammar.allowed[first] === 0) throw this.#forbidden(first);
    let length = 0;
    let position = offset + 1;
    for (let shift = 0; ; shift += 7, position++) {
      if (position - offset >= LONGEST_HEADER)
        throw new MqttProtocolError('remaining length of more than four bytes', 0x81);
      if (position >= end) return 0;
      const byte = buffer[position]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0)
          throw new MqttProtocolError('remaining length is not minimally encoded [MQTT-1.5.5-1]', 0x81);
        break;
      }
    }
    const headerBytes = position + 1 - offset;
    if (headerBytes + length > this.#maxPacketBytes) {
      throw new MqttProtocolError(
        `${packetTypeName(type)} of ${headerBytes + length} bytes exceeds maxPacketBytes (${this.#maxPacketBytes})`,
        0x95,
      );
    }
    if (length < this.#grammar.shortest[type]! || length > this.#grammar.longest[type]!) {
      throw new MqttProtocolError(`${packetTypeName(type)} with a body of ${length} bytes`, 0x81);
    }
    this.bodyStart = offset + headerBytes;
    return headerBytes + length;
  }

  #forbidden(first: number): MqttProtocolError {
    const type = first >> 4;
    const before = this.#grammar === GRAMMARS[this.#version].connecting ? ' before CONNACK' : '';
    const known = GRAMMARS[this.#version].connected.allowed.subarray(type << 4, (type << 4) + 16).includes(1);
    return known && before === ''
      ? new MqttProtocolError(`${packetTypeName(type)} with reserved flags 0x${(first & 15).toString(16)}`, 0x81)
      : new MqttProtocolError(`unexpected ${packetTypeName(type)}${before}`, 0x82);
  }
}
