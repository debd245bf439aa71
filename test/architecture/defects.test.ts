import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);

const numbers = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

const pages: [page: string, about: string, ids: string[]][] = [
  [
    'docs/defects.md',
    'rumqtt and rumqttc',
    [...numbers(28).map((number) => `D${number}`), ...numbers(24).map((number) => `RD${number}`)],
  ],
  ['docs/defects-of-builtin.md', "Nest's built-in transport", numbers(26).map((number) => `N-D${number}`)],
];

interface Row {
  readonly id: string;
  readonly file: string;
  readonly title: string;
}

function rowsOf(markdown: string): Row[] {
  const row = /^\| ((?:R|N-)?D\d+) +\|.*\]\(\.\.\/([^)]+)\): `(.+)` +\|$/gm;
  return Array.from(markdown.matchAll(row), ([, id, file, title]) => ({ id: id!, file: file!, title: title! }));
}

/** What is wrong with a row, if anything. */
function problem({ id, file, title }: Row): string | undefined {
  const path = fileURLToPath(new URL(file, root));
  if (!existsSync(path)) return `${id}: ${file} does not exist`;
  if (!readFileSync(path, 'utf8').includes(title)) return `${id}: ${file} has no test "${title}"`;
  return undefined;
}

describe.each(pages)('%s, about %s', (page, _of, expected) => {
  const rows = rowsOf(readFileSync(new URL(page, root), 'utf8'));

  test('every defect has a row', () => {
    const ids = new Set(rows.map(({ id }) => id));
    expect(expected.filter((id) => !ids.has(id))).toEqual([]);
  });

  test('every row names a test that exists', () => {
    expect(rows.flatMap((row) => problem(row) ?? [])).toEqual([]);
  });
});

test('a row that names a missing file or title is found', () => {
  const [row] = rowsOf('| N-D1 | planted | [a](../test/none.test.ts): `nothing` |');
  expect(problem(row!)).toContain('does not exist');
  expect(
    problem({ ...row!, file: 'test/architecture/defects.test.ts', title: ['not', 'there'].join(' ') + '!' }),
  ).toContain('has no test');
});
