import { isUtf8 } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';

const FIRST_SLOTS = 256;
const MOST_SLOTS = 8_192;
const LONGEST_CACHED = 256;

/**
 * Turns topic bytes into strings. Devices repeat their topics, so a direct-mapped cache saves decoding, validation and a new
 * string for most messages. It grows with the topics in use, up to a bound.
 *
 * @internal
 */
export class TopicCache {
  #bytes = new Array<Buffer | undefined>(FIRST_SLOTS).fill(undefined);
  #topics = new Array<string>(FIRST_SLOTS).fill('');
  /** How often a topic took the place of another one since the last growth. */
  #replacements = 0;

  /** @throws MqttProtocolError when the bytes are no topic name [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-2] */
  decode(buffer: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > LONGEST_CACHED) return decodeTopic(buffer, start, end);
    const slot = hashOf(buffer, start, end) & (this.#bytes.length - 1);
    const known = this.#bytes[slot];
    if (known !== undefined && known.length === length) {
      let i = 0;
      while (i < length && known[i] === buffer[start + i]) i++;
      if (i === length) return this.#topics[slot]!;
    }
    const topic = decodeTopic(buffer, start, end);
    this.#bytes[slot] = Buffer.from(buffer.subarray(start, end));
    this.#topics[slot] = topic;
    if (known !== undefined && ++this.#replacements > this.#bytes.length) this.#grow();
    return topic;
  }

  #grow(): void {
    this.#replacements = 0;
    if (this.#bytes.length === MOST_SLOTS) return;
    const [bytes, topics] = [this.#bytes, this.#topics];
    const slots = bytes.length * 2;
    this.#bytes = new Array<Buffer | undefined>(slots).fill(undefined);
    this.#topics = new Array<string>(slots).fill('');
    bytes.forEach((known, index) => {
      if (known === undefined) return;
      const slot = hashOf(known, 0, known.length) & (slots - 1);
      this.#bytes[slot] = known;
      this.#topics[slot] = topics[index]!;
    });
  }
}

function hashOf(buffer: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + buffer[i]!) | 0;
  return hash ^ (hash >>> 9) ^ (hash >>> 18);
}

function decodeTopic(buffer: Buffer, start: number, end: number): string {
  const bytes = buffer.subarray(start, end);
  for (const byte of bytes) {
    if (byte === 0x23 || byte === 0x2b)
      throw new MqttProtocolError('PUBLISH topic with a wildcard [MQTT-3.3.2-2]', 0x90);
    if (byte === 0) throw new MqttProtocolError('PUBLISH topic with U+0000 [MQTT-1.5.4-2]', 0x81);
  }
  if (!isUtf8(bytes)) throw new MqttProtocolError('PUBLISH topic is not UTF-8 [MQTT-1.5.4-1]', 0x81);
  return bytes.toString('utf8');
}
