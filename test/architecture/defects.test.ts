import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/defects.md', root), 'utf8');
/** Those about TLS and JWT. */
const LATER = new Set([14, 15, 17]);

interface Row {
  readonly id: string;
  readonly file: string;
  readonly title: string;
}

function rowsOf(markdown: string): Row[] {
  const row = /^\| (R?D\d+) +\|.*\]\(\.\.\/([^)]+)\): `(.+)` +\|$/gm;
  return Array.from(markdown.matchAll(row), ([, id, file, title]) => ({ id: id!, file: file!, title: title! }));
}

/** What is wrong with a row, if anything. */
function problem({ id, file, title }: Row): string | undefined {
  const path = fileURLToPath(new URL(file, root));
  if (!existsSync(path)) return `${id}: ${file} does not exist`;
  if (!readFileSync(path, 'utf8').includes(title)) return `${id}: ${file} has no test "${title}"`;
  return undefined;
}

test('every defect of rumqtt and rumqttc has a row in docs/defects.md', () => {
  const ids = new Set(rowsOf(page).map(({ id }) => id));
  const numbers = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);
  const expected = [
    ...numbers(28).flatMap((number) => (LATER.has(number) ? [] : `D${number}`)),
    ...numbers(24).map((number) => `RD${number}`),
  ];
  expect(expected.filter((id) => !ids.has(id))).toEqual([]);
});

test('every row names a test that exists', () => {
  expect(rowsOf(page).flatMap((row) => problem(row) ?? [])).toEqual([]);
});

test('a row that names a missing file or title is found', () => {
  const [row] = rowsOf('| D1 | planted | [a](../test/none.test.ts): `nothing` |');
  expect(problem(row!)).toContain('does not exist');
  expect(
    problem({ ...row!, file: 'test/architecture/defects.test.ts', title: ['not', 'there'].join(' ') + '!' }),
  ).toContain('has no test');
});
