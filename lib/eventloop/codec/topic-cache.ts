import { isUtf8 } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';

const SLOTS = 512;
const LONGEST_CACHED = 256;

/**
 * Turns topic bytes into strings. Devices repeat their topics, so a small direct-mapped cache saves decoding, validation and
 * a new string for most messages.
 *
 * @internal
 */
export class TopicCache {
  readonly #bytes = new Array<Buffer | undefined>(SLOTS);
  readonly #topics = new Array<string>(SLOTS).fill('');

  /** @throws MqttProtocolError when the bytes are no topic name [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.3.2-2] */
  decode(buffer: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > LONGEST_CACHED) return decodeTopic(buffer, start, end);
    let hash = length;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + buffer[i]!) | 0;
    const slot = (hash ^ (hash >>> 9) ^ (hash >>> 18)) & (SLOTS - 1);
    const known = this.#bytes[slot];
    if (known !== undefined && known.length === length) {
      let i = 0;
      while (i < length && known[i] === buffer[start + i]) i++;
      if (i === length) return this.#topics[slot]!;
    }
    const topic = decodeTopic(buffer, start, end);
    this.#bytes[slot] = Buffer.from(buffer.subarray(start, end));
    this.#topics[slot] = topic;
    return topic;
  }
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
