import type { QoS, SubscribeOptions } from '../eventloop/messages.js';
import type { RegisteredHandler } from './handler.js';
import { filterCovers, filtersOverlap } from './overlap.js';

/** One SUBSCRIBE. @internal */
export interface PlannedSubscribe {
  readonly filters: Readonly<Record<string, SubscribeOptions>>;
  readonly identifier: number | undefined;
}

/** @internal */
export interface SubscriptionPlan {
  readonly subscribes: readonly PlannedSubscribe[];
  /** By subscription; empty when no identifiers are needed or to be had. */
  readonly identifiers: ReadonlyMap<string, number>;
  /**
   * Pairs of subscriptions that can match the same topic and that nothing tells apart: a broker that delivers one copy
   * for each makes their handlers run for each copy.
   */
  readonly ambiguous: readonly (readonly [string, string])[];
}

/** AWS IoT Core refuses more filters in one SUBSCRIBE. */
const filtersPerSubscribe = 8;
const largestIdentifier = 268_435_455;

interface Subscription {
  readonly key: string;
  readonly levels: readonly string[];
  readonly shared: boolean;
  readonly wildcard: boolean;
  readonly options: SubscribeOptions & { readonly qos: QoS };
}

/**
 * Decides what to subscribe to, so that every message runs every matching handler once even on brokers that deliver a
 * copy for each matching subscription.
 *
 * @param withIdentifiers - whether the broker sends subscription identifiers back (MQTT 5)
 * @param refused - subscriptions that the broker has refused
 * @internal
 */
export function planSubscriptions(
  handlers: Iterable<RegisteredHandler>,
  withIdentifiers: boolean,
  refused: ReadonlySet<string> = new Set(),
): SubscriptionPlan {
  const subscriptions = mergeByKey(handlers).filter((subscription) => !refused.has(subscription.key));
  return withIdentifiers ? planWithIdentifiers(subscriptions) : planWithCoveringFilters(subscriptions);
}

/** Subscriptions that overlap get different identifiers; each copy then runs the handlers of its own subscription. */
function planWithIdentifiers(subscriptions: readonly Subscription[]): SubscriptionPlan {
  const groups: Subscription[][] = [];
  for (const subscription of subscriptions) {
    let group = groups.find((members) => !members.some((member) => overlap(member, subscription)));
    if (group === undefined) groups.push((group = []));
    group.push(subscription);
  }
  const identifiers = new Map<string, number>();
  if (groups.length > 1) {
    const first = firstIdentifier(subscriptions, groups.length);
    groups.forEach((group, index) => {
      for (const subscription of group) identifiers.set(subscription.key, first + index);
    });
  }
  return {
    subscribes: groups.flatMap((group) => inPackets(group, identifiers.get(group[0]?.key ?? ''))),
    identifiers,
    ambiguous: [],
  };
}

/** Without identifiers a filter that another one covers is not subscribed: the broker then sends one copy. */
function planWithCoveringFilters(subscriptions: readonly Subscription[]): SubscriptionPlan {
  const roots = subscriptions.filter(
    (subscription) => !subscriptions.some((other) => other !== subscription && covers(other, subscription)),
  );
  const widened = roots.map((root) => ({
    ...root,
    options: subscriptions
      .filter((other) => covers(root, other))
      .reduce((options, other) => merge(options, other.options), root.options),
  }));
  const ambiguous = roots.flatMap((root, index) =>
    roots.slice(index + 1).flatMap((other) => (overlap(root, other) ? [[root.key, other.key] as const] : [])),
  );
  return { subscribes: inPackets(widened, undefined), identifiers: new Map(), ambiguous };
}

function mergeByKey(handlers: Iterable<RegisteredHandler>): Subscription[] {
  const subscriptions = new Map<string, Subscription>();
  for (const { pattern, subscribe } of handlers) {
    const known = subscriptions.get(pattern.subscription);
    subscriptions.set(pattern.subscription, {
      key: pattern.subscription,
      levels: pattern.filter.split('/'),
      shared: pattern.share !== undefined,
      wildcard: pattern.wildcards.length > 0,
      options: known === undefined ? subscribe : merge(known.options, subscribe),
    });
  }
  return [...subscriptions.values()];
}

function merge(a: Subscription['options'], b: Subscription['options']): Subscription['options'] {
  return {
    qos: Math.max(a.qos, b.qos) as QoS,
    noLocal: a.noLocal === true && b.noLocal === true,
    retainAsPublished: a.retainAsPublished === true || b.retainAsPublished === true,
    retainHandling: Math.min(a.retainHandling ?? 0, b.retainHandling ?? 0) as 0 | 1 | 2,
  };
}

function overlap(a: Subscription, b: Subscription): boolean {
  return filtersOverlap(a.levels, b.levels);
}

/** A shared subscription receives only its part, so it neither covers nor is covered. */
function covers(outer: Subscription, inner: Subscription): boolean {
  return !outer.shared && !inner.shared && outer.wildcard && filterCovers(outer.levels, inner.levels);
}

function inPackets(subscriptions: readonly Subscription[], identifier: number | undefined): PlannedSubscribe[] {
  const packets: PlannedSubscribe[] = [];
  for (let i = 0; i < subscriptions.length; i += filtersPerSubscribe) {
    const members = subscriptions.slice(i, i + filtersPerSubscribe);
    packets.push({ filters: Object.fromEntries(members.map(({ key, options }) => [key, options])), identifier });
  }
  return packets;
}

/**
 * Depends on the whole set of subscriptions: identifiers on messages that a persistent session kept for an earlier
 * deployment must not look like ours.
 */
function firstIdentifier(subscriptions: readonly Subscription[], groups: number): number {
  let hash = 0x811c9dc5;
  for (const key of subscriptions.map((subscription) => subscription.key).toSorted()) {
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ 0x0a, 0x01000193);
  }
  return 1 + ((hash >>> 0) % (largestIdentifier - groups));
}
