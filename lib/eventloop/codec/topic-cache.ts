import { Buffer, isUtf8 } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';

const FIRST_SLOTS = 256;
const MOST_SLOTS = 8_192;
const WORD_BYTES = 4;
const LONGEST_CACHED = 256;

/**
 * Turns topic bytes into strings. Devices repeat their topics, so a direct-mapped cache saves decoding, validation and a new
 * string for most messages. It grows with the topics in use, up to a bound. Reads four bytes at once: half the price of one.
 *
 * @internal
 */
export class TopicCache {
  #bytes = new Array<DataView | undefined>(FIRST_SLOTS).fill(undefined);
  #topics = new Array<string>(FIRST_SLOTS).fill('');
  /** How often a topic took the place of another one since the last growth. */
  #replacements = 0;

  /** @throws MqttProtocolError when the bytes are no topic name [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-2] */
  decode(bytes: DataView, start: number, end: number): string {
    const length = end - start;
    if (length < WORD_BYTES || length > LONGEST_CACHED) return decodeTopic(bufferOf(bytes, start, length));
    const slot = hashOf(bytes, start, end) & (this.#bytes.length - 1);
    const known = this.#bytes[slot];
    if (known !== undefined && known.byteLength === length && isSame(known, bytes, start)) return this.#topics[slot]!;
    const buffer = bufferOf(bytes, start, length);
    const topic = decodeTopic(buffer);
    this.#bytes[slot] = new DataView(Uint8Array.from(buffer).buffer);
    this.#topics[slot] = topic;
    if (known !== undefined && ++this.#replacements > this.#bytes.length) this.#grow();
    return topic;
  }

  #grow(): void {
    this.#replacements = 0;
    if (this.#bytes.length === MOST_SLOTS) return;
    const [bytes, topics] = [this.#bytes, this.#topics];
    const slots = bytes.length * 2;
    this.#bytes = new Array<DataView | undefined>(slots).fill(undefined);
    this.#topics = new Array<string>(slots).fill('');
    bytes.forEach((known, index) => {
      if (known === undefined) return;
      const slot = hashOf(known, 0, known.byteLength) & (slots - 1);
      this.#bytes[slot] = known;
      this.#topics[slot] = topics[index]!;
    });
  }
}

/** The last word may overlap the one before it; so it does in `isSame`. */
function hashOf(bytes: DataView, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (; at + WORD_BYTES <= end; at += WORD_BYTES) hash = mixed(hash, bytes.getInt32(at));
  return at === end ? hash : mixed(hash, bytes.getInt32(end - WORD_BYTES));
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e37_79b1);
  return product ^ (product >>> 15);
}

function isSame(known: DataView, bytes: DataView, start: number): boolean {
  const length = known.byteLength;
  let at = 0;
  for (; at + WORD_BYTES <= length; at += WORD_BYTES)
    if (known.getInt32(at) !== bytes.getInt32(start + at)) return false;
  const last = length - WORD_BYTES;
  return at === length || known.getInt32(last) === bytes.getInt32(start + last);
}

function bufferOf(bytes: DataView, start: number, length: number): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, length);
}

function decodeTopic(bytes: Buffer): string {
  for (const byte of bytes) {
    if (byte === 0x23 || byte === 0x2b)
      throw new MqttProtocolError('PUBLISH topic with a wildcard [MQTT-3.3.2-2]', 0x90);
    if (byte === 0) throw new MqttProtocolError('PUBLISH topic with U+0000 [MQTT-1.5.4-2]', 0x81);
  }
  if (!isUtf8(bytes)) throw new MqttProtocolError('PUBLISH topic is not UTF-8 [MQTT-1.5.4-1]', 0x81);
  return bytes.toString('utf8');
}
