import type { RegisteredHandler } from './handler.js';
import { covers, inPackets, mergeOptions, overlap, subscriptionOf } from './subscription.js';
import type { PlannedSubscribe, Subscription } from './subscription.js';
import { firstIdentifier } from './subscription-identifiers.js';

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
    const keys = subscriptions.map(({ key }) => key);
    const first = firstIdentifier(keys, groups.length);
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
      .reduce((options, other) => mergeOptions(options, other.options), root.options),
  }));
  const ambiguous = roots.flatMap((root, index) =>
    roots.slice(index + 1).flatMap((other) => (overlap(root, other) ? [[root.key, other.key] as const] : [])),
  );
  return { subscribes: inPackets(widened, undefined), identifiers: new Map(), ambiguous };
}

function mergeByKey(handlers: Iterable<RegisteredHandler>): Subscription[] {
  const subscriptions = new Map<string, Subscription>();
  for (const handler of handlers) {
    const own = subscriptionOf(handler);
    const known = subscriptions.get(own.key);
    subscriptions.set(
      own.key,
      known === undefined ? own : { ...known, options: mergeOptions(known.options, own.options) },
    );
  }
  return [...subscriptions.values()];
}
