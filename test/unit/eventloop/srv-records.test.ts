import { expect, test } from 'vitest';
import { inOrderOfTrial, type SrvRecord } from '../../../lib/eventloop/srv-records.js';

const record = (name: string, priority: number, weight: number, port = 1883): SrvRecord => ({
  name,
  port,
  priority,
  weight,
});
const names = (records: readonly SrvRecord[], random: () => number): string[] =>
  inOrderOfTrial(records, random).map(({ name }) => name);

/** Numbers in [0, 1) that repeat with the seed (xorshift32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

test('RFC 2782: a lower priority comes first, whatever the weights are', () => {
  const records = [record('c', 20, 65_535), record('a', 0, 0), record('b', 10, 1)];
  for (const random of [0, 0.5, 0.999_999]) expect(names(records, () => random)).toEqual(['a', 'b', 'c']);
});

test('RFC 2782: within a priority each is the first as often as its weight says', () => {
  const records = [record('light', 1, 1), record('heavy', 1, 3), record('later', 2, 100)];
  const random = seeded(20_26);
  const rounds = 10_000;
  let heavyFirst = 0;
  for (let round = 0; round < rounds; round++) {
    const [first, second, third] = names(records, random);
    expect(new Set([first, second])).toEqual(new Set(['heavy', 'light']));
    expect(third).toBe('later');
    if (first === 'heavy') heavyFirst++;
  }
  // The RFC draws from 0 to the sum of 4 inclusive: the light one has 0 and 1, the heavy one 2, 3 and 4.
  expect(heavyFirst / rounds).toBeCloseTo(3 / 5, 1);
});

test('RFC 2782: one without weight is the first seldom, and not never', () => {
  const records = [record('weight', 1, 9), record('none', 1, 0)];
  expect(names(records, () => 0)).toEqual(['none', 'weight']);
  expect(names(records, () => 0.11)).toEqual(['weight', 'none']);
  expect(names(records, () => 0.99)).toEqual(['weight', 'none']);
});

test('every record is there once, also when none has a weight', () => {
  const records = Array.from({ length: 8 }, (_, index) => record(`host-${index}`, 5, 0));
  const ordered = names(records, seeded(7));
  expect(new Set(ordered)).toEqual(new Set(records.map(({ name }) => name)));
  expect(ordered).toHaveLength(records.length);
});

test.each([
  ['"." for "no such service"', record('.', 0, 0)],
  ['no name', record('', 0, 0)],
  ['a name with user information', record('user:secret@host', 0, 0)],
  ['a name with a path', record('host/path', 0, 0)],
  ['a name with a line break', record('host\r\nA: b', 0, 0)],
  ['a name that is too long', record('a'.repeat(255), 0, 0)],
  ['port 0', record('host', 0, 0, 0)],
  ['a port that is none', record('host', 0, 0, 65_536)],
  ['a weight that is none', record('host', 0, -1)],
  ['a priority that is none', record('host', 0.5, 0)],
])('a record with %s is left out', (_what, unusable) => {
  expect(names([unusable, record('good', 9, 0)], () => 0.5)).toEqual(['good']);
});

test('DNS that names thousands of servers gets 32 tries', () => {
  const records = Array.from({ length: 5_000 }, (_, index) => record(`host-${index}`, index, 1));
  expect(names(records, () => 0.5)).toEqual(records.slice(0, 32).map(({ name }) => name));
});
