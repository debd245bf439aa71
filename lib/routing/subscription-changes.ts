import { covers, inPackets, mergeOptions, overlap } from './subscription.js';
import type { PlannedSubscribe, Subscription } from './subscription.js';
import type { SubscriptionIdentifiers } from './subscription-identifiers.js';

/** A subscription that the broker has been asked for. @internal */
export interface RequestedSubscription extends Subscription {
  readonly identifier: number | undefined;
}

/** What one more handler takes. @internal */
export interface SubscriptionAddition {
  /** The subscription that brings its messages: its own, or one that covers it. */
  readonly by: string;
  /** Subscriptions that have to get an identifier first. With these granted, the addition is to be planned again. */
  readonly first: readonly PlannedSubscribe[];
  readonly subscribes: readonly PlannedSubscribe[];
  /** Subscriptions that are not needed any more once that has been granted. */
  readonly covered: readonly string[];
  /** As in the plan. */
  readonly ambiguous: readonly (readonly [string, string])[];
}

/**
 * Decides what an additional subscription takes, so that what {@link planSubscriptions} promises goes on to hold, and what is there
 * is left alone as far as possible.
 *
 * @param near - what was requested, at least what overlaps the addition
 * @param identifiers - undefined where the broker does not send them back
 * @internal
 */
export function planAddition(
  near: readonly RequestedSubscription[],
  added: Subscription,
  identifiers: Pick<SubscriptionIdentifiers, 'free'> | undefined,
): SubscriptionAddition {
  const known = near.find(({ key }) => key === added.key);
  if (known !== undefined) return join(known, added);
  const rivals = near.filter((other) => overlap(other, added));
  if (identifiers !== undefined) return addWithIdentifier(rivals, added, identifiers);
  const root = rivals.find((other) => covers(other, added));
  return root === undefined ? addCovering(rivals, added) : join(root, added);
}

/** A subscription that is there brings the messages too, if need be with other options. */
function join(known: RequestedSubscription, added: Subscription): SubscriptionAddition {
  const options = mergeOptions(known.options, added.options);
  const isEnough =
    options.qos === known.options.qos &&
    options.noLocal === (known.options.noLocal ?? false) &&
    options.retainAsPublished === (known.options.retainAsPublished ?? false);
  const subscribes = isEnough ? [] : inPackets([asThere({ ...known, options })], known.identifier);
  return { by: known.key, first: [], subscribes, covered: [], ambiguous: [] };
}

/** What it overlaps needs an identifier as well: a copy without one would say nothing. */
function addWithIdentifier(
  rivals: readonly RequestedSubscription[],
  added: Subscription,
  identifiers: Pick<SubscriptionIdentifiers, 'free'>,
): SubscriptionAddition {
  // They overlap nothing yet, each other neither: they can share one.
  const bare = rivals.filter(({ identifier }) => identifier === undefined);
  const first = bare.length === 0 ? [] : inPackets(bare.map(asThere), identifiers.free(bare[0]!.key));
  const subscribes = inPackets([added], rivals.length === 0 ? undefined : identifiers.free(added.key));
  return { by: added.key, first, subscribes, covered: [], ambiguous: [] };
}

function addCovering(rivals: readonly RequestedSubscription[], added: Subscription): SubscriptionAddition {
  const covered = rivals.filter((other) => covers(added, other));
  const options = covered.reduce((all, other) => mergeOptions(all, other.options), added.options);
  return {
    by: added.key,
    first: [],
    subscribes: inPackets([{ ...added, options }], undefined),
    covered: covered.map(({ key }) => key),
    ambiguous: rivals.flatMap((other) => (covered.includes(other) ? [] : [[other.key, added.key] as const])),
  };
}

/** Its handlers have had the retained messages: MQTT 5 can be asked not to send them again. */
function asThere(subscription: Subscription): Subscription {
  const { options } = subscription;
  return { ...subscription, options: { ...options, retainHandling: options.retainHandling === 2 ? 2 : 1 } };
}
