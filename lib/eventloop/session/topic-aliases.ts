import { LinkedList, type ListNode } from '../admission/linked-list.js';
import { ALIAS_BYTES } from '../codec/writer.js';
import type { PlainPublish } from './written-publishes.js';

/** Below this an alias (three bytes, and four with the first use) saves nothing worth having. */
const SHORTEST_TOPIC_BYTES = 8;

/** The property, and a digit more for each of the two lengths around it. */
const MOST_ADDED_BYTES = ALIAS_BYTES + 2;

interface Entry extends ListNode<Entry> {
  readonly topic: string;
  readonly alias: number;
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
  readonly #byTopic = new Map<string, Entry>();
  /** The one that was not used for the longest time first. */
  readonly #byUse = new LinkedList<Entry>();
  #maximum = 0;
  #maxPacketBytes = 0;

  /** A new connection: what the server knew is forgotten. */
  reset(maximum: number, maxPacketBytes: number): void {
    this.#maximum = maximum;
    this.#maxPacketBytes = maxPacketBytes;
    this.#byTopic.clear();
    while (this.#byUse.shift() !== undefined);
  }

  nameOf({ topic, topicBytes, bytes }: Pick<PlainPublish, 'topic' | 'topicBytes' | 'bytes'>): TopicName {
    if (
      this.#maximum === 0 ||
      topicBytes.length < SHORTEST_TOPIC_BYTES ||
      bytes + MOST_ADDED_BYTES > this.#maxPacketBytes
    )
      return PLAIN;
    const known = this.#byTopic.get(topic);
    if (known !== undefined) {
      this.#byUse.remove(known);
      this.#byUse.push(known);
      return { alias: known.alias, withTopic: false };
    }
    const { size } = this.#byUse;
    const alias = size < this.#maximum ? size + 1 : this.#evict();
    const entry: Entry = { topic, alias, previous: undefined, next: undefined };
    this.#byTopic.set(topic, entry);
    this.#byUse.push(entry);
    return { alias, withTopic: true };
  }

  #evict(): number {
    const { topic, alias } = this.#byUse.shift()!;
    this.#byTopic.delete(topic);
    return alias;
  }
}
