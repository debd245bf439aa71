import { describe, expect, it } from 'vitest';
import { topicMatches } from '../../../lib/eventloop/topics.js';
import { registerHandler, type RegisteredHandler } from '../../../lib/routing/handler.js';
import { isMoreSpecific, Router } from '../../../lib/routing/router.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement } from '../../../lib/settlement/settlement-settings.js';
import { Random } from '../../simulation/random.js';

type Declared = readonly [pattern: string, kind: 'event' | 'message'];

function routerOf(...declared: Declared[]): Router {
  const router = new Router();
  declared.forEach(([pattern, kind], index) => {
    const defaults = {
      qos: 1,
      settlement: defaultSettlement,
      isSessionResumed: false,
      payload: defaultPayload,
    } as const;
    router.add(registerHandler(pattern, async () => undefined, kind === 'event', {}, index, defaults));
  });
  return router;
}

const indexes = (handlers: readonly { index: number }[]): number[] => handlers.map(({ index }) => index);

describe('the router', () => {
  it('finds all handlers of a topic in the order of their registration', () => {
    const router = routerOf(['#', 'event'], ['a/b', 'event'], ['a/+', 'message'], ['b', 'event'], ['a/#', 'event']);

    expect(indexes(router.match('a/b'))).toEqual([0, 1, 2, 4]);
    expect(router.match('$SYS/a')).toEqual([]);
  });

  it('keeps message handlers from events where the same filter has an event handler', () => {
    const router = routerOf(['a', 'message'], ['a', 'event'], ['b', 'message'], ['#', 'event']);

    expect(indexes(router.eventHandlers(router.match('a')))).toEqual([1, 3]);
    expect(indexes(router.eventHandlers(router.match('b')))).toEqual([2, 3]);
    expect(router.eventHandlers(router.match('$x'))).toEqual([]);
  });

  it('lets the message handler answer whose filter says most, the first of equals', () => {
    const router = routerOf(
      ['a/b', 'event'],
      ['#', 'message'],
      ['a/+', 'message'],
      ['a/b', 'message'],
      ['a/b', 'message'],
    );

    expect(router.responder(router.match('a/b'))?.index).toBe(3);
    expect(router.responder(router.match('a/c'))?.index).toBe(2);
    expect(router.responder(router.match('x'))?.index).toBe(1);
    expect(routerOf(['a', 'event']).responder([])).toBeUndefined();
  });

  it('agrees with a list of handlers while they come and go', () => {
    const random = new Random('router');
    const patterns = ['a', 'a/b', 'a/+', '+/b', 'a/#', '#', 'b'];
    const router = new Router();
    const list: RegisteredHandler[] = [];
    for (let index = 0; index < 2_000; index++) {
      if (list.length > 0 && random.chance(0.5)) {
        const [gone] = list.splice(random.integer(0, list.length - 1), 1);
        router.remove(gone!);
        router.remove(gone!);
      } else {
        const kind = random.chance(0.5) ? 'event' : 'message';
        const handler = { ...routerOf([patterns[random.integer(0, 6)]!, kind]).handlers[0]!, index };
        list.push(handler);
        router.add(handler);
      }
      expect(router.handlers).toEqual(list);
      for (const topic of ['a', 'a/b', 'b']) {
        const matching = list.filter(({ pattern }) => topicMatches(pattern.filter, topic));
        expect(router.match(topic)).toEqual(matching);
        const eventFilters = new Set(list.filter(({ isEvent }) => isEvent).map(({ pattern }) => pattern.filter));
        expect(router.eventHandlers(router.match(topic))).toEqual(
          matching.filter(({ isEvent, pattern }) => isEvent || !eventFilters.has(pattern.filter)),
        );
      }
    }
  });

  it('runs nobody for the late copy of a subscription that has ended, whose identifier nobody else gets', () => {
    const router = routerOf(['a/#', 'event'], ['a/b', 'event']);
    const { identifiers } = router;
    identifiers.set('a/#', 10);
    const identifier = identifiers.free('a/b');
    identifiers.set('a/b', identifier);
    router.remove(router.handlers[1]!);
    identifiers.set('a/b', undefined);

    expect(router.match('a/b', [identifier])).toEqual([]);
    expect(indexes(router.match('a/b', [identifier, 10]))).toEqual([0]);
    expect(indexes(router.match('a/b', [10]))).toEqual([0]);
    expect(indexes(router.match('a/b', [99]))).toEqual([0]);
    expect(identifiers.free('a/b')).not.toBe(identifier);
    expect(new Router().identifiers.free('a/b')).toBe(identifier);
  });

  it('remembers a bounded number of ended identifiers', () => {
    const { identifiers } = routerOf();
    const first = identifiers.free('device/0');
    for (let i = 0; i < 2_000; i++) {
      identifiers.set(`device/${i}`, identifiers.free(`device/${i}`));
      identifiers.set(`device/${i}`, undefined);
    }

    expect(identifiers.free('device/0')).toBe(first);
    expect(identifiers.free('device/1999')).not.toBe(new Router().identifiers.free('device/1999'));
  });

  it('ignores identifiers that it does not know', () => {
    const router = routerOf(['a/#', 'event'], ['a/b', 'event']);
    router.identifiers.set('a/#', 10);
    router.identifiers.set('a/b', 11);

    expect(indexes(router.match('a/b', [11]))).toEqual([1]);
    expect(indexes(router.match('a/b', [99]))).toEqual([0, 1]);
    expect(indexes(router.match('a/b', [10, 11]))).toEqual([0, 1]);
    expect(indexes(router.match('a/b'))).toEqual([0, 1]);
  });
});

describe('a filter says more than another one', () => {
  it.each([
    ['a/b', 'a/+'],
    ['a/+', 'a/#'],
    ['a', 'a/#'],
    ['a/+/c', '+/b/c'],
    ['a/b/#', 'a/+/c'],
  ])('%j more than %j', (filter, than) => {
    expect(isMoreSpecific(filter, than)).toBe(true);
    expect(isMoreSpecific(than, filter)).toBe(false);
  });
});
