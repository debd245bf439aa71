import { Buffer, isUtf8 } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';

const WORD_BYTES = 4;
const LONGEST_KEPT_BYTES = 256;
const LONGEST_KEPT_WORDS = LONGEST_KEPT_BYTES / WORD_BYTES;
const FIRST_TOPICS = 128;
const MOST_TOPICS = 8_192;
const SLOTS_A_TOPIC = 2;
/** Topics that a hostile server makes collide must not be sought among all others. */
const MOST_PROBES = 8;
const WORDS_A_TOPIC = 8;

interface KnownTopic {
  readonly topic: string;
  readonly hash: number;
  /** Where its words are. */
  readonly start: number;
  readonly bytes: number;
}

/**
 * Turns topic bytes into strings. Devices repeat their topics, so a hash table saves decoding, validation and a new string for
 * most messages. It grows with the topics in use, up to a bound; then it starts anew. All bytes are in one place, and are compared
 * four at once: with thousands of topics, what is looked at has to come from memory.
 *
 * @internal
 */
export class TopicCache {
  #slots = emptySlots(FIRST_TOPICS);
  #count = 0;
  #words = new Int32Array(FIRST_TOPICS * WORDS_A_TOPIC);
  #used = 0;
  /** The topic that is looked for, in words. The last one may overlap the one before it. */
  readonly #sought = new Int32Array(LONGEST_KEPT_WORDS);

  /** @throws MqttProtocolError when the bytes are no topic name [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-2] */
  decode(view: DataView, start: number, end: number): string {
    const bytes = end - start;
    if (bytes < WORD_BYTES || bytes > LONGEST_KEPT_BYTES) return decodeTopic(view, start, bytes);
    const hash = this.#seek(view, start, end - WORD_BYTES);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let probe = 0; probe < MOST_PROBES; probe++) {
      const known = this.#slots[slot];
      if (known === undefined) break;
      if (known.hash === hash && known.bytes === bytes && this.#isSought(known)) return known.topic;
      slot = (slot + 1) & mask;
    }
    const topic = decodeTopic(view, start, bytes);
    this.#keep(topic, hash, bytes);
    return topic;
  }

  /** @returns the hash of what is sought from now on */
  #seek(view: DataView, start: number, last: number): number {
    const sought = this.#sought;
    let hash = last - start;
    let words = 0;
    for (let at = start; at < last; at += WORD_BYTES) {
      const word = view.getInt32(at, true);
      sought[words++] = word;
      hash = mixed(hash, word);
    }
    const word = view.getInt32(last, true);
    sought[words] = word;
    return mixed(hash, word);
  }

  #isSought({ start, bytes }: KnownTopic): boolean {
    const words = this.#words;
    const sought = this.#sought;
    const count = wordsOf(bytes);
    for (let i = 0; i < count; i++) if (words[start + i] !== sought[i]) return false;
    return true;
  }

  /** Keeps what is sought. */
  #keep(topic: string, hash: number, bytes: number): void {
    const words = wordsOf(bytes);
    this.#reserve(words);
    const start = this.#used;
    this.#words.set(this.#sought.subarray(0, words), start);
    this.#used += words;
    this.#put({ topic, hash, start, bytes });
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
  #reserve(words: number): void {
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
    if (this.#used + words <= this.#words.length) return;
    const larger = new Int32Array(Math.max(this.#words.length * 2, LONGEST_KEPT_WORDS));
    larger.set(this.#words);
    this.#words = larger;
  }
}

function emptySlots(topics: number): (KnownTopic | undefined)[] {
  return new Array<KnownTopic | undefined>(topics * SLOTS_A_TOPIC).fill(undefined);
}

function wordsOf(bytes: number): number {
  return (bytes + WORD_BYTES - 1) >> 2;
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e37_79b1);
  return product ^ (product >>> 15);
}

function decodeTopic(view: DataView, start: number, length: number): string {
  const bytes = Buffer.from(view.buffer, view.byteOffset + start, length);
  for (const byte of bytes) {
    if (byte === 0x23 || byte === 0x2b)
      throw new MqttProtocolError('PUBLISH topic with a wildcard [MQTT-3.3.2-2]', 0x90);
    if (byte === 0) throw new MqttProtocolError('PUBLISH topic with U+0000 [MQTT-1.5.4-2]', 0x81);
  }
  if (!isUtf8(bytes)) throw new MqttProtocolError('PUBLISH topic is not UTF-8 [MQTT-1.5.4-1]', 0x81);
  return bytes.toString('utf8');
}
