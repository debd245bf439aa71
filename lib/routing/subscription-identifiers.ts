import type { RegisteredHandler } from './handler.js';

const none: readonly RegisteredHandler[] = Object.freeze([]);
const largest = 268_435_455;
/** Identifiers of subscriptions that have ended; the oldest is forgotten first. */
const mostEnded = 1_024;

/**
 * The MQTT 5 subscription identifiers that tell the copies of a message apart: subscriptions that overlap have different
 * ones, those that overlap no other may have none.
 *
 * @internal
 */
export class SubscriptionIdentifiers {
  readonly #live = new Map<string, number>();
  /** How many subscriptions have an identifier. */
  readonly #uses = new Map<number, number>();
  /** What the broker had stored or on its way may still come with these. */
  readonly #ended = new Set<number>();

  of(subscription: string): number | undefined {
    return this.#live.get(subscription);
  }

  set(subscription: string, identifier: number | undefined): void {
    const before = this.#live.get(subscription);
    if (before === identifier) return;
    if (before !== undefined) this.#end(subscription, before);
    if (identifier === undefined) return;
    this.#live.set(subscription, identifier);
    this.#uses.set(identifier, (this.#uses.get(identifier) ?? 0) + 1);
    this.#ended.delete(identifier);
  }

  /**
   * One that nothing has or had lately. It is made of the subscription, so that the next process, to which a kept session brings
   * what this one has left, gives it to the same subscription.
   */
  free(subscription: string): number {
    let identifier = 1 + (hashOf([subscription]) % largest);
    while (this.#isOurs(identifier)) identifier = 1 + (identifier % largest);
    return identifier;
  }

  /** Those of the matching handlers whose subscriptions a delivered copy names. */
  meant(matching: readonly RegisteredHandler[], identifiers: readonly number[]): readonly RegisteredHandler[] {
    if (this.#uses.size === 0 && this.#ended.size === 0) return matching;
    if (matching.length < 2 && this.#ended.size === 0) return matching;
    const meant = matching.filter(({ pattern }) => {
      const identifier = this.#live.get(pattern.subscription);
      return identifier !== undefined && identifiers.includes(identifier);
    });
    if (meant.length > 0) return meant;
    // A copy for a subscription that has ended: the others have copies of their own. But identifiers of an earlier deployment,
    // kept by a persistent session, tell nothing.
    return identifiers.every((identifier) => this.#isOurs(identifier)) ? none : matching;
  }

  #isOurs(identifier: number): boolean {
    return this.#uses.has(identifier) || this.#ended.has(identifier);
  }

  #end(subscription: string, identifier: number): void {
    this.#live.delete(subscription);
    const uses = this.#uses.get(identifier)! - 1;
    if (uses > 0) return void this.#uses.set(identifier, uses);
    this.#uses.delete(identifier);
    this.#ended.add(identifier);
    if (this.#ended.size > mostEnded) for (const oldest of this.#ended) return void this.#ended.delete(oldest);
  }
}

/**
 * The first of some identifiers in a row. It depends on the whole set of subscriptions: identifiers on messages that a
 * persistent session kept for an earlier deployment must not look like ours.
 *
 * @internal
 */
export function firstIdentifier(subscriptions: readonly string[], count: number): number {
  return 1 + (hashOf(subscriptions.toSorted()) % (largest - count));
}

function hashOf(texts: readonly string[]): number {
  let hash = 0x811c9dc5;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ 0x0a, 0x01000193);
  }
  return hash >>> 0;
}
