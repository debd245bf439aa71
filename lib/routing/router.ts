import type { RegisteredHandler } from './handler.js';
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
  readonly #handlers: RegisteredHandler[] = [];
  readonly #trie = new TopicTrie<RegisteredHandler>();
  /** Filters that have an event handler. */
  readonly #eventFilters = new Set<string>();
  /** The subscription identifier of each subscription; empty where one cannot tell copies apart. */
  #identifiers: ReadonlyMap<string, number> = new Map();
  /** What topics match: devices repeat them. */
  readonly #found = new Map<string, readonly RegisteredHandler[]>();

  get handlers(): readonly RegisteredHandler[] {
    return this.#handlers;
  }

  add(handler: RegisteredHandler): void {
    this.#found.clear();
    this.#handlers.push(handler);
    this.#trie.add(handler.pattern.filter, handler);
    if (handler.isEvent) this.#eventFilters.add(handler.pattern.filter);
  }

  useIdentifiers(identifiers: ReadonlyMap<string, number>): void {
    this.#identifiers = identifiers;
  }

  /**
   * Handlers for a delivered copy of a message.
   *
   * @param identifiers - those that came with it: the copy is meant for these subscriptions only
   */
  match(topic: string, identifiers?: readonly number[]): readonly RegisteredHandler[] {
    const found = this.#find(topic);
    if (found.length < 2) return found;
    if (identifiers !== undefined && this.#identifiers.size > 0) {
      const meant = found.filter((handler) => {
        const identifier = this.#identifiers.get(handler.pattern.subscription);
        return identifier !== undefined && identifiers.includes(identifier);
      });
      // Identifiers of an earlier deployment, kept by a persistent session, tell nothing.
      if (meant.length > 0) return meant;
    }
    return found;
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
