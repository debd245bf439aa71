import { describe, expect, it } from 'vitest';
import { topicMatches } from '../../../lib/eventloop/topics.js';
import { TopicTrie } from '../../../lib/routing/topic-trie.js';

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

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
