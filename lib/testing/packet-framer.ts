/** Bytes that no MQTT peer may send. @internal */
import { Buffer } from 'node:buffer';
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

/**
 * Cuts a byte stream into whole packets, however it was chunked. It trusts nothing but the length field and
 * checks that one: at most four bytes, in the shortest form [MQTT-1.5.5-1].
 *
 * @internal
 */
export class PacketFramer {
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  /** Nothing can be decided before this many bytes are there. */
  #neededBytes = 2;

  /** Bytes of a packet that is not complete yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Takes bytes and yields the packets they complete, each a contiguous buffer. Throws {@link FramingError}. */
  *push(chunk: Buffer): Generator<Buffer, void> {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    while (this.#bufferedBytes >= this.#neededBytes) {
      // Joined only when enough is there: a large packet in small chunks is copied once.
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      const length = packetLength(bytes);
      this.#neededBytes = length ?? bytes.length + 1;
      const complete = length !== undefined && bytes.length >= length;
      const rest = complete ? bytes.subarray(length) : bytes;
      this.#chunks = rest.length > 0 ? [rest] : [];
      this.#bufferedBytes = rest.length;
      if (!complete) return;
      this.#neededBytes = 2;
      yield bytes.subarray(0, length);
    }
  }
}

/** The size of the packet that starts here, header included; undefined while its length field is incomplete. */
function packetLength(bytes: Buffer): number | undefined {
  let remaining = 0;
  for (let index = 1; index <= 4; index++) {
    const byte = bytes[index];
    if (byte === undefined) return undefined;
    remaining += (byte & 0x7f) * 128 ** (index - 1);
    if (byte < 0x80) {
      if (byte === 0 && index > 1) throw new FramingError('the remaining length is not in its shortest form');
      return 1 + index + remaining;
    }
  }
  throw new FramingError('the remaining length takes more than four bytes');
}
