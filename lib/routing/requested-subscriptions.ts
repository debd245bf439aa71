import type { LoggerService } from '@nestjs/common';
import { MqttNotSupportedError, MqttRefusedError, type MqttError } from '../eventloop/errors.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { describeError } from '../mqtt.errors.js';
import type { PlannedSubscribe, Subscription } from './subscription.js';
import type { RequestedSubscription } from './subscription-changes.js';
import type { SubscriptionIdentifiers } from './subscription-identifiers.js';
import { TopicTrie } from './topic-trie.js';

/** Subscribe requests under way at once: with thousands of handlers they must not take all the room there is for requests. */
const mostUnderWay = 100;

/** @internal */
export interface Requested extends RequestedSubscription {
  /** Settles with the broker's answer. */
  readonly answered: Promise<unknown>;
}

/**
 * What the broker has been asked for on behalf of handlers. It changes when the broker is asked, and back when it refuses;
 * the event loop sends requests in the order in which they are made, and keeps what was granted over reconnects.
 *
 * @internal
 */
export class RequestedSubscriptions {
  readonly #loop: EventLoop;
  readonly #logger: LoggerService;
  readonly #identifiers: SubscriptionIdentifiers;
  readonly #requested = new Map<string, Requested>();
  readonly #byFilter = new TopicTrie<string>();

  constructor(loop: EventLoop, logger: LoggerService, identifiers: SubscriptionIdentifiers) {
    this.#loop = loop;
    this.#logger = logger;
    this.#identifiers = identifiers;
  }

  get keys(): string[] {
    return [...this.#requested.keys()];
  }

  get(key: string): Requested | undefined {
    return this.#requested.get(key);
  }

  has(key: string): boolean {
    return this.#requested.has(key);
  }

  /** At least those that overlap it. */
  near({ filter }: Subscription): Requested[] {
    return this.#byFilter.overlapping(filter).map((key) => this.#requested.get(key)!);
  }

  /** @throws what `EventLoop.subscribe` throws */
  subscribe({ subscriptions, identifier }: PlannedSubscribe): Promise<unknown> {
    const filters = Object.fromEntries(subscriptions.map(({ key, options }) => [key, options]));
    const answered = this.#loop.subscribe(filters, { subscriptionIdentifier: identifier });
    const changes = subscriptions.map((subscription) => ({
      before: this.#requested.get(subscription.key),
      after: { ...subscription, identifier, answered },
    }));
    for (const { after } of changes) this.#set(after.key, after);
    answered.catch((error: unknown) => {
      for (const { before, after } of changes) {
        const hasFailed = !(error instanceof MqttRefusedError) || error.refused.has(after.key);
        if (hasFailed && this.#requested.get(after.key) === after) this.#set(after.key, before);
      }
    });
    return answered;
  }

  /**
   * Makes many of them; those that are there are left out. What fails is logged.
   *
   * @returns what the broker does not let us have, and why
   */
  async subscribeAll(planned: readonly PlannedSubscribe[]): Promise<Map<string, MqttError>> {
    const refusals = new Map<string, MqttError>();
    const next = planned.values();
    const work = async (): Promise<void> => {
      for (const subscribe of next) await this.#subscribeNew(subscribe, refusals);
    };
    await Promise.all(Array.from({ length: mostUnderWay }, work));
    return refusals;
  }

  async unsubscribe(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#set(key, undefined);
    if (keys.length > 0) await this.#loop.unsubscribe(keys);
  }

  /** Nothing brings messages for it from now on, whatever the broker is told later. */
  forget(key: string): void {
    this.#set(key, undefined);
  }

  async #subscribeNew(
    { subscriptions, identifier }: PlannedSubscribe,
    refusals: Map<string, MqttError>,
  ): Promise<void> {
    const wanted = subscriptions.filter(({ key }) => !this.#requested.has(key));
    if (wanted.length === 0) return;
    try {
      await this.subscribe({ subscriptions: wanted, identifier });
    } catch (error) {
      if (error instanceof MqttRefusedError) {
        // The loop's event has brought it to the log.
        for (const filter of error.refused.keys()) refusals.set(filter, error);
      } else if (error instanceof MqttNotSupportedError && wanted.length > 1) {
        // One filter of the packet is beyond the broker; the others are not.
        await Promise.all(wanted.map((one) => this.#subscribeNew({ subscriptions: [one], identifier }, refusals)));
      } else {
        if (error instanceof MqttNotSupportedError) refusals.set(wanted[0]!.key, error);
        const names = wanted.map(({ key }) => `"${key}"`).join(', ');
        this.#logger.error(`subscribing to ${names} failed: ${describeError(error)}`);
      }
    }
  }

  #set(key: string, requested: Requested | undefined): void {
    const before = this.#requested.get(key);
    if (before !== undefined && requested === undefined) this.#byFilter.remove(before.filter, key);
    if (before === undefined && requested !== undefined) this.#byFilter.add(requested.filter, key);
    if (requested === undefined) this.#requested.delete(key);
    else this.#requested.set(key, requested);
    this.#identifiers.set(key, requested?.identifier);
  }
}
