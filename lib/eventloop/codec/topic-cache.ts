import { Buffer, isUtf8 } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';

const WORD_BYTES = 4;
const LONGEST_KEPT_BYTES = 256;
const FIRST_TOPICS = 128;
const MOST_TOPICS = 8_192;
const SLOTS_A_TOPIC = 2;
/** Topics that a hostile server makes collide must not be sought among all others. */
const MOST_PROBES = 8;
const BYTES_A_TOPIC = 32;

interface KnownTopic {
  readonly topic: string;
  readonly hash: number;
  /** Where its bytes are. */
  readonly start: number;
  readonly length: number;
}

/**
 * Turns topic bytes into strings. Devices repeat their topics, so a hash table saves decoding, validation and a new string for
 * most messages. It grows with the topics in use, up to a bound; then it starts anew. All bytes are in one place, and are read
 * four at once: with thousands of topics, what is looked at has to come from memory.
 *
 * @internal
 */
export class TopicCache {
  #slots = emptySlots(FIRST_TOPICS);
  #count = 0;
  #bytes = new DataView(new ArrayBuffer(FIRST_TOPICS * BYTES_A_TOPIC));
  #used = 0;

  /** @throws MqttProtocolError when the bytes are no topic name [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-2] */
  decode(bytes: DataView, start: number, end: number): string {
    const length = end - start;
    if (length < WORD_BYTES || length > LONGEST_KEPT_BYTES) return decodeTopic(bufferOf(bytes, start, length));
    const hash = hashOf(bytes, start, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      const known = this.#slots[slot];
      if (known === undefined) break;
      if (known.hash === hash && known.length === length && this.#isSame(known, bytes, start)) return known.topic;
      slot = (slot + 1) & mask;
    }
    const buffer = bufferOf(bytes, start, length);
    const topic = decodeTopic(buffer);
    this.#keep(topic, hash, buffer);
    return topic;
  }

  #isSame({ start, length }: KnownTopic, bytes: DataView, at: number): boolean {
    const known = this.#bytes;
    // The last word may overlap the one before it; so it does in the hash.
    const last = length - WORD_BYTES;
    for (let i = 0; i < last; i += WORD_BYTES) if (known.getInt32(start + i) !== bytes.getInt32(at + i)) return false;
    return known.getInt32(start + last) === bytes.getInt32(at + last);
  }

  #keep(topic: string, hash: number, buffer: Buffer): void {
    this.#reserve(buffer.length);
    const start = this.#used;
    buffer.copy(bufferOf(this.#bytes, start, buffer.length));
    this.#used += buffer.length;
    this.#put({ topic, hash, start, length: buffer.length });
  }

  /** Where all places that it may have are taken, the first of them. */
  #put(known: KnownTopic): void {
    const mask = this.#slots.length - 1;
    const home = known.hash & mask;
    let probe = 0;
    while (probe < MOST_PROBES && this.#slots[(home + probe) & mask] !== undefined) probe++;
    this.#slots[(home + (probe % MOST_PROBES)) & mask] = known;
    this.#count++;
  }

  /** Room for one more topic. */
  #reserve(bytes: number): void {
    const capacity = this.#slots.length / SLOTS_A_TOPIC;
    if (this.#count === MOST_TOPICS) {
      this.#slots.fill(undefined);
      this.#count = 0;
      this.#used = 0;
    } else if (this.#count === capacity) {
      const known = this.#slots;
      this.#slots = emptySlots(capacity * 2);
      this.#count = 0;
      for (const each of known) if (each !== undefined) this.#put(each);
    }
    if (this.#used + bytes <= this.#bytes.byteLength) return;
    const larger = Buffer.alloc(Math.max(this.#bytes.byteLength * 2, LONGEST_KEPT_BYTES));
    bufferOf(this.#bytes, 0, this.#used).copy(larger);
    this.#bytes = new DataView(larger.buffer, larger.byteOffset, larger.length);
  }
}

function emptySlots(topics: number): (KnownTopic | undefined)[] {
  return new Array<KnownTopic | undefined>(topics * SLOTS_A_TOPIC).fill(undefined);
}

function hashOf(bytes: DataView, start: number, end: number): number {
  const last = end - WORD_BYTES;
  let hash = end - start;
  for (let at = start; at < last; at += WORD_BYTES) hash = mixed(hash, bytes.getInt32(at));
  return mixed(hash, bytes.getInt32(last));
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e37_79b1);
  return product ^ (product >>> 15);
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
