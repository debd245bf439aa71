import { expect, it } from 'vitest';
import { topicMatches } from '../../../lib/eventloop/topics.js';
import { registerHandler, type RegisteredHandler } from '../../../lib/routing/handler.js';
import { HandlerSubscriptions } from '../../../lib/routing/handler-subscriptions.js';
import { filterCovers } from '../../../lib/routing/overlap.js';
import { Router } from '../../../lib/routing/router.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement } from '../../../lib/settlement/settlement-settings.js';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';
import { Random } from '../../simulation/random.js';

const defaults = { qos: 1, settlement: defaultSettlement, isSessionResumed: false, payload: defaultPayload } as const;
let registered = 0;

function handlerOf(pattern: string, extras: Record<string, unknown> = {}): RegisteredHandler {
  return registerHandler(pattern, async () => undefined, true, extras, registered++, defaults);
}

/** Subscriptions on a real event loop, whose broker is the test. */
async function setUp(protocolVersion: 4 | 5, ...declared: string[]) {
  const scripted = scriptedLoop({ protocolVersion });
  const connection = await scripted.connect();
  const router = new Router();
  for (const pattern of declared) router.add(handlerOf(pattern));
  const warnings: string[] = [];
  const logger = { log: () => undefined, warn: (text: string) => void warnings.push(text), error: () => undefined };
  const subscriptions = new HandlerSubscriptions(scripted.loop, router, logger, 'report');
  const add = (handler: RegisteredHandler): Promise<void> => subscriptions.add(handler, () => true);
  return { ...scripted, connection, router, subscriptions, add, warnings };
}

it('gives an identifier to what a new filter overlaps, without its retained messages, and leaves the rest alone', async () => {
  const { subscriptions, connection, clock, add, router } = await setUp(5, 'a/#', 'b', 'c/+');
  const opened = subscriptions.open();
  const all = await connection.next('subscribe');
  expect(all.properties?.subscriptionIdentifier).toBeUndefined();
  connection.suback(all);
  await opened;

  const added = watch(add(handlerOf('a/b')));
  const again = await connection.next('subscribe');
  await connection.nothing(clock);
  connection.suback(again);
  const own = await connection.next('subscribe');
  expect(again.subscriptions).toMatchObject([{ topic: 'a/#', rh: 1 }]);
  expect(own.subscriptions).toMatchObject([{ topic: 'a/b', rh: 0 }]);
  const [wide, narrow] = [again, own].map(({ properties }) => properties!.subscriptionIdentifier as number);
  expect(wide).not.toBe(narrow);
  expect(router.match('a/b', [narrow!]).map(({ pattern }) => pattern.filter)).toEqual(['a/b']);
  await clock.settle();
  expect(added.state).toBe('pending');
  connection.suback(own);
  await clock.settle();
  expect(added.state).toBe('resolved');

  const alone = add(handlerOf('d/#'));
  const bare = await connection.next('subscribe');
  expect(bare.properties?.subscriptionIdentifier).toBeUndefined();
  connection.suback(bare);
  await alone;
});

it('asks for no filter before those that it overlaps are told apart, however many come at once', async () => {
  const { subscriptions, connection, clock, add } = await setUp(5, 'z');
  const opened = subscriptions.open();
  connection.suback(await connection.next('subscribe'));
  await opened;

  const added = ['a/#', 'a/b', 'a/c'].map((filter) => add(handlerOf(filter)));
  for (const retainHandling of [0, 1]) {
    const wide = await connection.next('subscribe');
    expect(wide.subscriptions).toMatchObject([{ topic: 'a/#', rh: retainHandling }]);
    await connection.nothing(clock);
    connection.suback(wide);
  }
  const others = [await connection.next('subscribe'), await connection.next('subscribe')];
  for (const packet of others) connection.suback(packet);
  expect(others.map(({ subscriptions: [one] }) => one!.topic).toSorted()).toEqual(['a/b', 'a/c']);
  await Promise.all(added);
});

it('asks for nothing when there is a subscription that does, and for a wider one when it does not', async () => {
  const { subscriptions, connection, clock, add } = await setUp(5, 'a');
  const opened = subscriptions.open();
  connection.suback(await connection.next('subscribe'));
  await opened;

  await add(handlerOf('a', { qos: 0 }));
  const [second, third] = [watch(add(handlerOf('a', { qos: 2 }))), watch(add(handlerOf('a', { qos: 2 })))];
  const wider = await connection.next('subscribe');
  expect(wider.subscriptions).toMatchObject([{ topic: 'a', qos: 2, rh: 1 }]);
  connection.suback(wider, [0x97]);
  await clock.settle();

  expect([second, third].map(({ error }) => error)).toMatchObject([{ reasonCode: 0x97 }, { reasonCode: 0x97 }]);
  const fourth = watch(add(handlerOf('a')));
  await connection.nothing(clock);
  expect(fourth.state).toBe('resolved');
});

it('MQTT 3.1.1: stops what a wider filter covers once that is granted, and asks for it before the wider one ends', async () => {
  const { subscriptions, connection, clock, add, warnings } = await setUp(4, 'a/b', 'a/c');
  const opened = subscriptions.open();
  connection.suback(await connection.next('subscribe'));
  await opened;
  const wide = handlerOf('a/+');

  const added = watch(add(wide));
  const request = await connection.next('subscribe');
  await connection.nothing(clock);
  connection.suback(request);
  const covered = await connection.next('unsubscribe');
  expect(covered.unsubscriptions).toEqual(['a/b', 'a/c']);
  connection.unsuback(covered);
  await clock.settle();
  expect(added.state).toBe('resolved');

  const removed = watch(subscriptions.remove(wide));
  const restored = await connection.next('subscribe');
  expect(restored.subscriptions.map(({ topic }) => topic)).toEqual(['a/b', 'a/c']);
  await connection.nothing(clock);
  connection.suback(restored);
  const ended = await connection.next('unsubscribe');
  expect(ended.unsubscriptions).toEqual(['a/+']);
  connection.unsuback(ended);
  await clock.settle();
  expect(removed.state).toBe('resolved');
  expect(warnings).toEqual([]);
});

it('MQTT 3.1.1: what takes over has the QoS of handlers that have joined what it covers meanwhile', async () => {
  const { subscriptions, connection, clock, add } = await setUp(4, 'a/b');
  const opened = subscriptions.open();
  connection.suback(await connection.next('subscribe'));
  await opened;

  const added = [add(handlerOf('a/+', { qos: 0 })), add(handlerOf('a/b', { qos: 2 }))];
  const [wide, narrow] = [await connection.next('subscribe'), await connection.next('subscribe')];
  expect([wide, narrow].map(({ subscriptions: [one] }) => one)).toMatchObject([
    { topic: 'a/+', qos: 1 },
    { topic: 'a/b', qos: 2 },
  ]);
  connection.suback(narrow);
  connection.suback(wide);
  const wider = await connection.next('subscribe');
  expect(wider.subscriptions).toMatchObject([{ topic: 'a/+', qos: 2 }]);
  connection.suback(wider);
  connection.unsuback(await connection.next('unsubscribe'));
  await Promise.all(added);
  await connection.nothing(clock);
});

it('MQTT 3.1.1: warns of a new filter that nothing can tell apart from another one', async () => {
  const { subscriptions, connection, add, warnings } = await setUp(4, 'a/+');
  const opened = subscriptions.open();
  connection.suback(await connection.next('subscribe'));
  await opened;
  const added = add(handlerOf('+/b'));
  connection.suback(await connection.next('subscribe'));
  await added;

  expect(warnings).toEqual([expect.stringContaining('"a/+" and "+/b" overlap')]);
});

it('unsubscribes what has gone before the broker has answered for the start', async () => {
  const { subscriptions, connection, clock, router } = await setUp(5, 'a', 'b');
  const opened = subscriptions.open();
  const removed = watch(subscriptions.remove(router.handlers[0]!));
  const all = await connection.next('subscribe');
  await connection.nothing(clock);
  connection.suback(all);
  await opened;
  const ended = await connection.next('unsubscribe');
  expect(ended.unsubscriptions).toEqual(['a']);
  connection.unsuback(ended);
  await clock.settle();
  expect(removed.state).toBe('resolved');
});

it('is given up with the loop, when there was no connection yet', async () => {
  const { loop, clock } = scriptedLoop();
  const subscriptions = new HandlerSubscriptions(loop, new Router(), console, 'report');
  await subscriptions.open();
  const added = watch(subscriptions.add(handlerOf('a'), () => true));
  await loop.shutdown({ drainTimeoutMs: 0 });
  await clock.settle();
  expect(added.error).toMatchObject({ code: 'MQTT_CLOSED' });
});

const topics = ['a', 'a/b', 'a/c', 'a/b/c', 'a/x/c', 'x', 'x/y', 'x/b', 'x/b/c'];
const nested = ['#', 'a/#', 'a/b/#', 'a/b/c', 'a/c', 'x/#', 'x/y', 'a/b'];
const crossing = ['#', 'a/#', 'a/+', '+/b', 'a/b', 'a/+/c', '+/b/c', 'x', 'x/+', '$share/g/a/b', '$share/g/#'];

it.each([
  ['MQTT 5, a copy for each subscription', 5, 'each', crossing, 0],
  ['MQTT 5, a copy for each subscription, some refused', 5, 'each', crossing, 0.2],
  ['MQTT 5, one copy', 5, 'one', crossing, 0],
  ['MQTT 3.1.1, a copy for each subscription, nested filters', 4, 'each', nested, 0],
  ['MQTT 3.1.1, one copy', 4, 'one', crossing.filter((filter) => !filter.startsWith('$')), 0],
] as const)(
  'every handler runs once, however they come and go (%s)',
  async (title, protocolVersion, copies, patterns, refusing) => {
    const random = new Random(title);
    const at = await setUp(protocolVersion, ...patterns.slice(1, 3));
    const held = new Map<string, { readonly qos: number; readonly identifier: number | undefined }>();
    const doubles: string[] = [];
    at.connection.handle((packet) => {
      if (packet.cmd === 'subscribe') {
        const identifier = packet.properties?.subscriptionIdentifier;
        if (random.chance(refusing))
          return at.connection.suback(
            packet,
            packet.subscriptions.map(() => 0x87),
          );
        for (const { topic, qos } of packet.subscriptions) held.set(topic, { qos, identifier });
        at.connection.suback(packet);
      } else if (packet.cmd === 'unsubscribe') {
        for (const topic of packet.unsubscriptions) held.delete(topic);
        at.connection.unsuback(packet);
      }
      // In the middle of changes too, where identifiers tell copies apart.
      if (protocolVersion === 5)
        doubles.push(...topics.filter((topic) => new Set(runs(topic)).size < runs(topic).length));
    });
    /** Of the handlers that a message on this topic runs, by its copies. */
    const runs = (topic: string): number[] => {
      const matching = [...held].flatMap(([filter, { identifier }]) =>
        topicMatches(filter, topic) ? [identifier] : [],
      );
      if (matching.length === 0) return [];
      const sent = copies === 'one' ? [matching] : matching.map((identifier) => [identifier]);
      return sent.flatMap((identifiers) => {
        const known = identifiers.filter((identifier) => identifier !== undefined);
        return at.router.match(topic, known.length === 0 ? undefined : known).map(({ index }) => index);
      });
    };
    const heldFor = ({ pattern }: RegisteredHandler): number => {
      const all = [...held].filter(
        ([filter]) => filter === pattern.subscription || (protocolVersion === 4 && covers(filter, pattern.filter)),
      );
      return Math.max(...all.map(([, { qos }]) => qos));
    };
    await at.subscriptions.open();
    let there: readonly RegisteredHandler[] = at.router.handlers.slice();

    for (let round = 0; round < 300; round++) {
      const changes = Array.from({ length: random.integer(1, 4) }, () => {
        if (there.length > 0 && random.chance(0.5)) {
          const gone = there[random.integer(0, there.length - 1)]!;
          there = there.filter((other) => other !== gone);
          return at.subscriptions.remove(gone);
        }
        const handler = handlerOf(patterns[random.integer(0, patterns.length - 1)]!, { qos: random.integer(0, 2) });
        there = [...there, handler];
        return at.subscriptions
          .add(handler, () => there.includes(handler))
          .catch(() => (there = there.filter((other) => other !== handler)));
      });
      await at.clock.settle();
      await Promise.all(changes);
      await at.clock.settle();
      for (const topic of topics) {
        const expected = there.filter(({ pattern }) => topicMatches(pattern.filter, topic)).map(({ index }) => index);
        expect([round, topic, ...runs(topic).toSorted(byNumber)]).toEqual([round, topic, ...expected]);
      }
      for (const handler of there) expect(heldFor(handler)).toBeGreaterThanOrEqual(handler.subscribe.qos);
    }
    await Promise.all(there.map((handler) => at.subscriptions.remove(handler)));
    await at.clock.settle();
    expect([...held.keys()]).toEqual([]);
    expect(doubles).toEqual([]);
  },
);

function covers(outer: string, inner: string): boolean {
  return !outer.startsWith('$') && filterCovers(outer.split('/'), inner.split('/'));
}

function byNumber(a: number, b: number): number {
  return a - b;
}
