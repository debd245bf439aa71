import { describe, expect, it } from 'vitest';
import { topicMatches } from '../../../lib/eventloop/topics.js';
import { filtersOverlap } from '../../../lib/routing/overlap.js';
import { TopicTrie } from '../../../lib/routing/topic-trie.js';
import { Random } from '../../simulation/random.js';

describe('the topic trie', () => {
  it('finds exactly the filters that match, for every combination of levels', () => {
    const names = ['', 'a', 'b', '$x'];
    const filters = ['#', ...product([...names, '+']), ...product([...names, '+'], 2).map((filter) => `${filter}/#`)];
    const trie = new TopicTrie<string>();
    for (const filter of filters) trie.add(filter, filter);

    for (const topic of product(names, 4).filter((name) => name !== '')) {
      const expected = filters.filter((filter) => filter !== '' && topicMatches(filter, topic));
      expect([topic, ...trie.match(topic).toSorted(byText)]).toEqual([topic, ...expected.toSorted(byText)]);
    }
  });

  it('keeps every value of a filter', () => {
    const trie = new TopicTrie<number>();
    for (const value of [1, 2, 3]) trie.add('a/+', value);

    expect(trie.match('a/b')).toEqual([1, 2, 3]);
  });

  it('agrees with a list of filters while they come and go, and is empty when all have gone', () => {
    const random = new Random('topic trie');
    const levels = ['a', 'b', '', '+'];
    const trie = new TopicTrie<number>();
    const list: (readonly [filter: string, value: number])[] = [];
    const agree = (): void => {
      for (const topic of ['a', 'a/b', 'b/a/', '/a', 'a/b/a', 'b']) {
        const expected = list.flatMap(([filter, value]) => (topicMatches(filter, topic) ? [value] : []));
        expect(trie.match(topic).toSorted(byNumber)).toEqual(expected.toSorted(byNumber));
      }
    };
    for (let value = 0; value < 3_000; value++) {
      if (list.length > 0 && random.chance(0.5)) trie.remove(...list.splice(random.integer(0, list.length - 1), 1)[0]!);
      else {
        const some = Array.from({ length: random.integer(1, 3) }, () => levels[random.integer(0, 3)]!);
        const filter = [...some, ...(random.chance(0.3) ? ['#'] : [])].join('/');
        list.push([filter, value]);
        trie.add(filter, value);
        trie.remove(`x/${filter}`, value);
        trie.remove(filter, -1);
      }
      if (value % 10 === 0) agree();
    }
    const wasLast = list.splice(0).map((entry) => trie.remove(...entry));
    agree();
    expect(wasLast.map((last, index) => last === (index === wasLast.length - 1))).not.toContain(false);
  });

  it('finds the filters that overlap one, and none that does not', () => {
    const filters = ['#', ...product(['a', 'b', '', '+']), ...product(['a', '+'], 2).map((filter) => `${filter}/#`)];
    const trie = new TopicTrie<string>();
    for (const filter of filters) trie.add(filter, filter);

    for (const filter of filters) {
      const expected = filters.filter((other) => filtersOverlap(filter.split('/'), other.split('/')));
      expect([filter, ...trie.overlapping(filter).toSorted(byText)]).toEqual([filter, ...expected.toSorted(byText)]);
    }
  });

  it('takes names of object members for what they are', () => {
    const trie = new TopicTrie<number>();
    trie.add('__proto__/constructor', 1);

    expect(trie.match('__proto__/constructor')).toEqual([1]);
    expect(trie.match('toString')).toEqual([]);
  });

  it('does not descend for what cannot match, however many filters there are', () => {
    const trie = new TopicTrie<string>();
    for (let i = 0; i < 1_000; i++) trie.add(`device/${i}/+/state`, `device ${i}`);

    expect(trie.match('device/7/x/state')).toEqual(['device 7']);
    expect(trie.match('other/7/x/state')).toEqual([]);
  });
});

function product(levels: string[], depth = 3): string[] {
  const shorter = depth === 1 ? [] : product(levels, depth - 1);
  return [...levels, ...levels.flatMap((level) => shorter.map((rest) => `${level}/${rest}`))];
}

function byNumber(a: number, b: number): number {
  return a - b;
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
