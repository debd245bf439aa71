import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { RequestTable, type TableEntry } from '../../../lib/requests/request-table.js';

class Entry implements TableEntry<Entry> {
  nextInBucket: Entry | undefined = undefined;
  constructor(readonly id: string) {}
}

test('finds what is in it and nothing else, as entries come and go, however many', () => {
  const table = new RequestTable<Entry>();
  const open = new Map<string, Entry>();
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 100; i++) {
      const entry = new Entry(randomBytes(16).toString('base64url'));
      table.add(entry);
      open.set(entry.id, entry);
    }
    for (const entry of [...open.values()].filter((_, index) => index % 3 === round % 3)) {
      table.delete(entry);
      open.delete(entry.id);
      expect(table.get(entry.id)).toBeUndefined();
    }
    expect(table.size).toBe(open.size);
    for (const [id, entry] of open) expect(table.get(id)).toBe(entry);
  }
  expect(new Set(table.all())).toEqual(new Set(open.values()));
});

test('tells ids in the same bucket apart, and takes out the first, the last and one in the middle', () => {
  const entries = ['a', 'b', 'c'].map((end) => new Entry(`same-beginning-${end}`));
  for (const entry of entries) {
    const table = new RequestTable<Entry>();
    for (const each of entries) table.add(each);
    table.delete(entry);
    table.delete(entry);
    expect(table.size).toBe(2);
    for (const each of entries) expect(table.get(each.id)).toBe(each === entry ? undefined : each);
    for (const each of table.all()) table.delete(each);
    expect(table.all()).toEqual([]);
  }
});

test.each(['', 'x', '__proto__', '\u{1f600}', 'y'.repeat(100_000)])('knows no request by a foreign id (%#)', (id) => {
  const table = new RequestTable<Entry>();
  table.add(new Entry(randomBytes(16).toString('base64url')));
  expect(table.get(id)).toBeUndefined();
});
