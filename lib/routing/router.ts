import type { RegisteredHandler } from './handler.js';
import { SubscriptionIdentifiers } from './subscription-identifiers.js';
import { TopicTrie } from './topic-trie.js';

const none: readonly RegisteredHandler[] = Object.freeze([]);
const mostTopics = 8_192;

/**
 * Which handlers a message runs. All that match run, in order of registration, with one exception: a message handler
 * sees an event (a message that asks for no reply) only if no event handler is declared for the same filter.
 *
 * @internal
 */
export class Router {
  /** Which copy of a message is meant for which subscription. */
  readonly identifiers = new SubscriptionIdentifiers();
  readonly #handlers: RegisteredHandler[] = [];
  readonly #trie = new TopicTrie<RegisteredHandler>();
  /** How many event handlers a filter has. */
  readonly #eventFilters = new Map<string, number>();
  /** What topics match: devices repeat them. */
  readonly #found = new Map<string, readonly RegisteredHandler[]>();

  get handlers(): readonly RegisteredHandler[] {
    return this.#handlers;
  }

  add(handler: RegisteredHandler): void {
    this.#found.clear();
    this.#handlers.push(handler);
    this.#trie.add(handler.pattern.filter, handler);
    this.#countEvents(handler, 1);
  }

  /** Messages that it was given already are its own affair. Of no effect on one that is not here. */
  remove(handler: RegisteredHandler): void {
    const index = this.#handlers.indexOf(handler);
    if (index < 0) return;
    this.#found.clear();
    this.#handlers.splice(index, 1);
    this.#trie.remove(handler.pattern.filter, handler);
    this.#countEvents(handler, -1);
  }

  #countEvents({ isEvent, pattern: { filter } }: RegisteredHandler, change: 1 | -1): void {
    if (!isEvent) return;
    const count = (this.#eventFilters.get(filter) ?? 0) + change;
    if (count > 0) this.#eventFilters.set(filter, count);
    else this.#eventFilters.delete(filter);
  }

  /**
   * Handlers for a delivered copy of a message.
   *
   * @param identifiers - those that came with it: the copy is meant for these subscriptions only
   */
  match(topic: string, identifiers?: readonly number[]): readonly RegisteredHandler[] {
    const found = this.#find(topic);
    return identifiers === undefined ? found : this.identifiers.meant(found, identifiers);
  }

  /** At least the handlers whose filters overlap this one. */
  near(filter: string): readonly RegisteredHandler[] {
    return this.#trie.overlapping(filter);
  }

  /** Every handler whose filter matches, in order of registration. */
  #find(topic: string): readonly RegisteredHandler[] {
    const known = this.#found.get(topic);
    if (known !== undefined) return known;
    const found = this.#trie.match(topic).toSorted(byRegistration);
    if (this.#found.size >= mostTopics) this.#found.clear();
    this.#found.set(topic, found);
    return found;
  }

  /** Those of the matching handlers that see an event. */
  eventHandlers(matching: readonly RegisteredHandler[]): readonly RegisteredHandler[] {
    for (const handler of matching) {
      if (!this.#seesEvents(handler)) return matching.filter((candidate) => this.#seesEvents(candidate));
    }
    return matching.length === 0 ? none : matching;
  }

  /** The message handler whose answer the requester gets: the one with the most specific filter, the first of equals. */
  responder(matching: readonly RegisteredHandler[]): RegisteredHandler | undefined {
    let best: RegisteredHandler | undefined;
    for (const handler of matching) {
      if (handler.isEvent) continue;
      if (best === undefined || isMoreSpecific(handler.pattern.filter, best.pattern.filter)) best = handler;
    }
    return best;
  }

  #seesEvents(handler: RegisteredHandler): boolean {
    return handler.isEvent || !this.#eventFilters.has(handler.pattern.filter);
  }
}

/** Level by level: a literal before `+` before `#`. Both match the same topic. @internal */
export function isMoreSpecific(filter: string, than: string): boolean {
  const left = filter.split('/');
  const right = than.split('/');
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = rank(left[i]) - rank(right[i]);
    if (difference !== 0) return difference < 0;
  }
  // "a" and "a/#" match the same topic "a".
  return left.length < right.length;
}

function rank(level: string | undefined): number {
  return level === '#' ? 2 : level === '+' ? 1 : 0;
}

function byRegistration(a: RegisteredHandler, b: RegisteredHandler): number {
  return a.index - b.index;
}
