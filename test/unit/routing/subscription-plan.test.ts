import { describe, expect, it } from 'vitest';
import type { SubscribeOptions } from '../../../lib/eventloop/messages.js';
import { topicMatches } from '../../../lib/eventloop/topics.js';
import { registerHandler, type RegisteredHandler } from '../../../lib/routing/handler.js';
import { Router } from '../../../lib/routing/router.js';
import { planSubscriptions } from '../../../lib/routing/subscription-plan.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement } from '../../../lib/settlement/settlement-settings.js';

function handlers(...declared: (string | [pattern: string, extras: Record<string, unknown>])[]): RegisteredHandler[] {
  return declared.map((item, index) => {
    const [pattern, extras] = typeof item === 'string' ? [item, {}] : item;
    const defaults = {
      qos: 1,
      settlement: defaultSettlement,
      isSessionResumed: false,
      payload: defaultPayload,
    } as const;
    return registerHandler(pattern, async () => undefined, true, extras, index, defaults);
  });
}

function subscribed(plan: ReturnType<typeof planSubscriptions>): Record<string, SubscribeOptions> {
  const all = plan.subscribes.flatMap(({ subscriptions }) => subscriptions);
  return Object.fromEntries(all.map(({ key, options }) => [key, options]));
}

describe('a plan with subscription identifiers', () => {
  it('needs none while no filters overlap', () => {
    const plan = planSubscriptions(handlers('a/+', 'b/#', 'c'), true);

    expect(plan).toMatchObject({ identifiers: new Map(), ambiguous: [] });
    expect(plan.subscribes).toHaveLength(1);
    expect(plan.subscribes[0]?.identifier).toBeUndefined();
  });

  it('gives different ones to filters that overlap, and few in all', () => {
    const { identifiers, subscribes } = planSubscriptions(
      handlers('a/b', 'a/+', 'a/#', '+/b', 'x/1', 'x/2', 'y'),
      true,
    );

    const of = (filter: string): number => identifiers.get(filter)!;
    expect(new Set([of('a/b'), of('a/+'), of('a/#'), of('+/b')]).size).toBe(4);
    expect(new Set(identifiers.values()).size).toBe(4);
    for (const { subscriptions, identifier } of subscribes) {
      for (const { key } of subscriptions) expect(of(key)).toBe(identifier);
    }
  });

  it('keeps a shared and a plain subscription to one filter apart', () => {
    const { identifiers } = planSubscriptions(handlers('a', ['a', { share: 'g' }], ['a', { share: 'h' }]), true);

    expect([...identifiers.keys()]).toEqual(['a', '$share/g/a', '$share/h/a']);
    expect(new Set(identifiers.values()).size).toBe(3);
  });

  it('does not repeat the identifiers of another set of handlers, which a kept session may still send', () => {
    const before = planSubscriptions(handlers('a/#', 'a/+'), true).identifiers;
    const after = planSubscriptions(handlers('a/b', 'a/#', 'a/+'), true).identifiers;

    expect([...after.values()].filter((identifier) => [...before.values()].includes(identifier))).toEqual([]);
    expect(planSubscriptions(handlers('a/+', 'a/#'), true).identifiers.get('a/#')).toSatisfy(isIdentifier);
  });

  it('makes every handler run once, whether the broker sends one copy or one for each subscription', () => {
    const registered = handlers('a/b', 'a/+', 'a/#', '+/b', '#', ['a/b', { share: 'g' }], '+/+', 'a/b');
    const router = new Router();
    for (const handler of registered) router.add(handler);
    const { identifiers } = planSubscriptions(registered, true);
    for (const [key, identifier] of identifiers) router.identifiers.set(key, identifier);

    for (const topic of ['a/b', 'a/c', 'c/b', 'a', 'x', 'a/b/c']) {
      const expected = registered.filter(({ pattern }) => topicMatches(pattern.filter, topic));
      const matching = [...identifiers].filter(([key]) => topicMatches(key, topic)).map(([, identifier]) => identifier);
      const copies = matching.flatMap((identifier) => router.match(topic, [identifier]));
      expect(copies.toSorted((a, b) => a.index - b.index)).toEqual(expected);
      expect(router.match(topic, matching)).toEqual(expected);
    }
  });
});

describe('a plan without identifiers', () => {
  it('leaves out what another filter covers, and asks for the QoS that all need', () => {
    const plan = planSubscriptions(handlers(['a/#', { qos: 0 }], ['a/b', { qos: 2 }], 'a/+/c', 'b'), false);

    expect(Object.entries(subscribed(plan)).map(([filter, { qos }]) => [filter, qos])).toEqual([
      ['a/#', 2],
      ['b', 1],
    ]);
    expect(plan).toMatchObject({ ambiguous: [], identifiers: new Map() });
  });

  it('subscribes to what was covered when the broker has refused what covered it', () => {
    const plan = planSubscriptions(handlers('a/#', 'a/b', 'a/+'), false, new Set(['a/#']));

    expect(Object.keys(subscribed(plan))).toEqual(['a/+']);
  });

  it('names the pairs that nothing can tell apart', () => {
    const { ambiguous } = planSubscriptions(handlers('a/+', '+/b', 'c', ['c', { share: 'g' }]), false);

    expect(ambiguous).toEqual([
      ['a/+', '+/b'],
      ['c', '$share/g/c'],
    ]);
  });

  it('lets a shared subscription neither cover nor be covered', () => {
    expect(Object.keys(subscribed(planSubscriptions(handlers(['#', { share: 'g' }], 'a'), false)))).toEqual([
      '$share/g/#',
      'a',
    ]);
    expect(Object.keys(subscribed(planSubscriptions(handlers('#', ['a', { share: 'g' }]), false)))).toEqual([
      '#',
      '$share/g/a',
    ]);
  });
});

describe('a plan', () => {
  it('merges the options of handlers with the same filter', () => {
    const both = subscribed(
      planSubscriptions(
        handlers(
          ['a', { qos: 0, noLocal: true, retainHandling: 2 }],
          ['a', { qos: 2, retainAsPublished: true, retainHandling: 1 }],
          ['b', { noLocal: true }],
          ['b', { noLocal: true, retainHandling: 2 }],
        ),
        true,
      ),
    );

    expect(both).toEqual({
      a: { qos: 2, noLocal: false, retainAsPublished: true, retainHandling: 1 },
      b: { qos: 1, noLocal: true, retainAsPublished: false, retainHandling: 0 },
    });
  });

  it('asks for no more than eight filters in one packet, the most that AWS IoT takes', () => {
    const plan = planSubscriptions(handlers(...Array.from({ length: 20 }, (_, index) => `a/${index}`)), true);

    expect(plan.subscribes.map(({ subscriptions }) => subscriptions.length)).toEqual([8, 8, 4]);
  });
});

function isIdentifier(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 268_435_455;
}
