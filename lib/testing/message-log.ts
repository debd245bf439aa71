import { inspect, isDeepStrictEqual } from 'node:util';
import type { QoS } from '../eventloop/messages.js';
import { assertTopicFilter, topicMatches } from '../eventloop/topics.js';
import { guarded } from './mailbox.js';
import type { PublishedMessage } from './memory-message.js';

const MOST_LISTED = 20;
const MOST_CHARACTERS = 120;

/** What a published message should be; what is left out does not matter. @publicApi */
export interface ExpectedMessage {
  /** Compared deeply with `PublishedMessage.data`, or, given as bytes, with the payload. */
  readonly data?: unknown;
  readonly qos?: QoS | undefined;
  readonly retain?: boolean | undefined;
}

interface Watcher {
  readonly filter: string;
  readonly listener: (message: PublishedMessage) => void;
}

/** What clients have published, to be waited for and asserted. @internal */
export class MessageLog {
  readonly messages: PublishedMessage[] = [];
  readonly #guardMs: number;
  readonly #untaken = new Set<PublishedMessage>();
  /** Who waits for one message each. */
  readonly #waiters = new Set<Watcher>();
  readonly #watchers = new Set<Watcher>();

  constructor(guardMs: number) {
    this.#guardMs = guardMs;
  }

  add(message: PublishedMessage): void {
    this.messages.push(message);
    for (const { filter, listener } of this.#watchers) if (topicMatches(filter, message.topic)) listener(message);
    for (const waiter of this.#waiters) {
      if (!topicMatches(waiter.filter, message.topic)) continue;
      this.#waiters.delete(waiter);
      return waiter.listener(message);
    }
    this.#untaken.add(message);
  }

  async next(filter: string): Promise<PublishedMessage> {
    assertTopicFilter(filter);
    for (const message of this.#untaken) {
      if (topicMatches(filter, message.topic) && this.#untaken.delete(message)) return message;
    }
    let waiter: Watcher;
    const message = new Promise<PublishedMessage>((resolve) => {
      waiter = { filter, listener: resolve };
      this.#waiters.add(waiter);
    });
    return guarded(message, this.#guardMs, () => {
      this.#waiters.delete(waiter);
      return this.#failure(`nothing was published to "${filter}" within ${this.#guardMs} ms`);
    });
  }

  watch(filter: string, listener: (message: PublishedMessage) => void): () => void {
    assertTopicFilter(filter);
    const watcher = { filter, listener };
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  assertPublished(filter: string, expected: ExpectedMessage): PublishedMessage {
    const found = this.#matching(filter).find((message) => isAsExpected(message, expected));
    if (found !== undefined) return found;
    const wanted = Object.keys(expected).length === 0 ? '' : ` as ${inspect(expected, { breakLength: Infinity })}`;
    throw this.#failure(`nothing was published to "${filter}"${wanted}`);
  }

  assertNothing(filter: string): void {
    const count = this.#matching(filter).length;
    if (count > 0) throw this.#failure(`${count} messages were published to "${filter}"`);
  }

  #matching(filter: string): PublishedMessage[] {
    assertTopicFilter(filter);
    return this.messages.filter(({ topic }) => topicMatches(filter, topic));
  }

  #failure(problem: string): Error {
    const listed = this.messages.slice(-MOST_LISTED).map(describe);
    const omitted = this.messages.length - listed.length;
    const title = omitted > 0 ? `Published (after ${omitted} others)` : 'Published';
    return new Error(`${problem}. ${listed.length === 0 ? 'Published: nothing.' : `${title}:\n${listed.join('\n')}`}`);
  }
}

function isAsExpected(message: PublishedMessage, expected: ExpectedMessage): boolean {
  if (expected.qos !== undefined && expected.qos !== message.qos) return false;
  if (expected.retain !== undefined && expected.retain !== message.retain) return false;
  if (!('data' in expected)) return true;
  const { data } = expected;
  return data instanceof Uint8Array ? message.payload.equals(data) : isDeepStrictEqual(message.data, data);
}

function describe({ topic, qos, retain, text }: PublishedMessage): string {
  const shown = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
  return `  "${topic}" qos ${qos}${retain ? ' retain' : ''}: ${shown}`;
}
