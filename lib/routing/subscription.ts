import type { QoS, SubscribeOptions } from '../eventloop/messages.js';
import type { RegisteredHandler } from './handler.js';
import { filterCovers, filtersOverlap } from './overlap.js';

/** What handlers with the same filter and share group have at the broker in common. @internal */
export interface Subscription {
  /** What the broker is asked for. */
  readonly key: string;
  /** The same without `$share/group/`, and its levels. */
  readonly filter: string;
  readonly levels: readonly string[];
  readonly shared: boolean;
  readonly wildcard: boolean;
  readonly options: SubscribeOptions & { readonly qos: QoS };
}

/** One SUBSCRIBE. @internal */
export interface PlannedSubscribe {
  readonly subscriptions: readonly Subscription[];
  readonly identifier: number | undefined;
}

/** AWS IoT Core refuses more filters in one SUBSCRIBE. */
const filtersPerSubscribe = 8;

/** @internal */
export function subscriptionOf({ pattern, subscribe }: RegisteredHandler): Subscription {
  return {
    key: pattern.subscription,
    filter: pattern.filter,
    levels: pattern.filter.split('/'),
    shared: pattern.share !== undefined,
    wildcard: pattern.wildcards.length > 0,
    options: subscribe,
  };
}

/** What satisfies both. @internal */
export function mergeOptions(a: Subscription['options'], b: Subscription['options']): Subscription['options'] {
  return {
    qos: Math.max(a.qos, b.qos) as QoS,
    noLocal: a.noLocal === true && b.noLocal === true,
    retainAsPublished: a.retainAsPublished === true || b.retainAsPublished === true,
    retainHandling: Math.min(a.retainHandling ?? 0, b.retainHandling ?? 0) as 0 | 1 | 2,
  };
}

/** @internal */
export function overlap(a: Subscription, b: Subscription): boolean {
  return filtersOverlap(a.levels, b.levels);
}

/** A shared subscription receives only its part, so it neither covers nor is covered. @internal */
export function covers(outer: Subscription, inner: Subscription): boolean {
  return !outer.shared && !inner.shared && outer.wildcard && filterCovers(outer.levels, inner.levels);
}

/** @internal */
export function inPackets(subscriptions: readonly Subscription[], identifier: number | undefined): PlannedSubscribe[] {
  const packets: PlannedSubscribe[] = [];
  for (let i = 0; i < subscriptions.length; i += filtersPerSubscribe) {
    packets.push({ subscriptions: subscriptions.slice(i, i + filtersPerSubscribe), identifier });
  }
  return packets;
}
