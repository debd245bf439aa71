import { describe, expect, it } from 'vitest';
import { registerHandler } from '../../../lib/routing/handler.js';
import { isMoreSpecific, Router } from '../../../lib/routing/router.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement } from '../../../lib/settlement/settlement-settings.js';

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

  it('ignores identifiers that it does not know', () => {
    const router = routerOf(['a/#', 'event'], ['a/b', 'event']);
    router.useIdentifiers(
      new Map([
        ['a/#', 10],
        ['a/b', 11],
      ]),
    );

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
