import { describe, expect, it } from 'vitest';
import { topicMatches } from '../../../lib/eventloop/topics.js';
import { filterCovers, filtersOverlap } from '../../../lib/routing/overlap.js';

const names = ['', 'a', 'b', '$x'];
// The empty topic stands for the parent of "/#", which no message has: counting it errs on the safe side.
const topics = product(names);
const exact = product([...names, '+']).filter((filter) => filter !== '');
const filters = ['#', ...exact, ...product([...names, '+'], 2).map((filter) => `${filter}/#`)];
const received = new Map(
  filters.map((filter) => [filter, new Set(topics.filter((topic) => topicMatches(filter, topic)))]),
);

describe('filters', () => {
  it('overlap exactly when some topic matches both', () => {
    for (const [a, ofA] of received) {
      for (const [b, ofB] of received) {
        const shared = topics.some((topic) => ofA.has(topic) && ofB.has(topic));
        expect(filtersOverlap(a.split('/'), b.split('/')), `${a} ~ ${b}`).toBe(shared);
      }
    }
  });

  it('never cover a filter that receives more', () => {
    for (const [outer, ofOuter] of received) {
      for (const [inner, ofInner] of received) {
        if (!filterCovers(outer.split('/'), inner.split('/'))) continue;
        expect(
          [...ofInner].every((topic) => ofOuter.has(topic)),
          `${outer} > ${inner}`,
        ).toBe(true);
      }
    }
  });

  it.each([
    ['#', 'a/b'],
    ['#', '+/+'],
    ['a/#', 'a'],
    ['a/#', 'a/+/b'],
    ['a/#', 'a/b/#'],
    ['+/b', 'a/b'],
    ['a/+', 'a/+'],
  ])('%j covers %j', (outer, inner) => {
    expect(filterCovers(outer.split('/'), inner.split('/'))).toBe(true);
  });

  it.each([
    ['#', '$SYS/#'],
    ['a/b/#', 'a/#'],
    ['a/+', 'a/#'],
    ['a/+', '+/b'],
    ['a/b', 'a/+'],
  ])('%j does not cover %j', (outer, inner) => {
    expect(filterCovers(outer.split('/'), inner.split('/'))).toBe(false);
  });
});

function product(levels: string[], depth = 3): string[] {
  const shorter = depth === 1 ? [] : product(levels, depth - 1);
  return [...levels, ...levels.flatMap((level) => shorter.map((rest) => `${level}/${rest}`))];
}
