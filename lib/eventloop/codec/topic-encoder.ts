import { Buffer } from 'node:buffer';
import { assertTopicName } from '../topics.js';

const MOST_KEPT = 8_192;
const LONGEST_KEPT = 256;
/** One of so many that were not found is kept: topics that never come back must cost little more than they would with no cache. */
const KEPT_ONE_OF = 8;

/**
 * Turns topic names into bytes. Most publishes repeat a topic, and checking and encoding it costs more than the rest of the packet.
 *
 * @internal
 */
export class TopicEncoder {
  readonly #kept = new Map<string, Buffer>();
  #missed = 0;

  /** @throws MqttArgumentError when it may not be published to */
  encode(topic: string): Buffer {
    const kept = this.#kept.get(topic);
    if (kept !== undefined) return kept;
    assertTopicName(topic);
    const bytes = Buffer.from(topic);
    if (++this.#missed % KEPT_ONE_OF === 0 && topic.length <= LONGEST_KEPT) this.#keep(topic, bytes);
    return bytes;
  }

  #keep(topic: string, bytes: Buffer): void {
    if (this.#kept.size === MOST_KEPT) this.#kept.clear();
    this.#kept.set(topic, bytes);
  }
}
