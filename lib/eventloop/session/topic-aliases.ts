import { ALIAS_BYTES } from '../codec/writer.js';
import type { PublishExchange } from './publish-exchange.js';

/** Below this an alias (three bytes, and four with the first use) saves nothing worth having. */
const SHORTEST_TOPIC_BYTES = 8;

/** The property, and a digit more for each of the two lengths around it. */
const MOST_ADDED_BYTES = ALIAS_BYTES + 2;

interface Entry {
  readonly alias: number;
  usedAt: number;
}

/** How a PUBLISH names its topic. @internal */
export interface TopicName {
  /** 0 for none. */
  readonly alias: number;
  /** Whether the topic itself has to be sent, too. */
  readonly withTopic: boolean;
}

/** The topic itself. @internal */
export const PLAIN: TopicName = { alias: 0, withTopic: true };

/**
 * Aliases for the topics we publish to, of one connection [MQTT-3.3.2-7]. The one that was not used for the longest time makes
 * room for a new one.
 *
 * @internal
 */
export class TopicAliases {
  readonly #entries = new Map<string, Entry>();
  #maximum = 0;
  #maxPacketBytes = 0;
  /** Counts uses. */
  #clock = 0;

  /** A new connection: what the server knew is forgotten. */
  reset(maximum: number, maxPacketBytes: number): void {
    this.#maximum = maximum;
    this.#maxPacketBytes = maxPacketBytes;
    this.#entries.clear();
  }

  nameOf({ topic, topicBytes, bytes }: PublishExchange): TopicName {
    if (this.#maximum === 0 || topicBytes < SHORTEST_TOPIC_BYTES || bytes + MOST_ADDED_BYTES > this.#maxPacketBytes)
      return PLAIN;
    const known = this.#entries.get(topic);
    if (known !== undefined) {
      known.usedAt = ++this.#clock;
      return { alias: known.alias, withTopic: false };
    }
    const alias = this.#entries.size < this.#maximum ? this.#entries.size + 1 : this.#evict();
    this.#entries.set(topic, { alias, usedAt: ++this.#clock });
    return { alias, withTopic: true };
  }

  #evict(): number {
    let oldest = '';
    let oldestEntry: Entry = { alias: 0, usedAt: Infinity };
    for (const [topic, entry] of this.#entries)
      if (entry.usedAt < oldestEntry.usedAt) [oldest, oldestEntry] = [topic, entry];
    this.#entries.delete(oldest);
    return oldestEntry.alias;
  }
}
