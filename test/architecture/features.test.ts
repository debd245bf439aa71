import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = new URL('../../docs/', import.meta.url);
const page = readFileSync(new URL('features.md', root), 'utf8');
const FEATURES = 49;

interface Row {
  readonly number: number;
  readonly answer: string;
  readonly shownBy: string;
}

function rowsOf(markdown: string): Row[] {
  const row = /^\| (\d+) +\|[^|]+\| (\S+) +\| (.+?) +\|$/gm;
  return Array.from(markdown.matchAll(row), ([, number, answer, shownBy]) => ({
    number: Number(number),
    answer: answer!,
    shownBy: shownBy!,
  }));
}

/** What is wrong with a row. */
function problemsOf({ number, answer, shownBy }: Row): string[] {
  const links = Array.from(shownBy.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)(?:: `([^`]+)`)?/g));
  if (answer === 'no') return shownBy.length > 20 ? [] : [`${number}: gives no reason`];
  if (answer !== 'yes') return [`${number}: is answered by "${answer}"`];
  if (links.length === 0) return [`${number}: names neither test nor page`];
  return links.flatMap(([, link, title]) => {
    const path = fileURLToPath(new URL(link!, root));
    if (!existsSync(path)) return [`${number}: ${link} does not exist`];
    if (/[.]test[.]ts$/.test(link!) && title === undefined) return [`${number}: ${link} without the name of a test`];
    if (title !== undefined && !readFileSync(path, 'utf8').includes(title)) {
      return [`${number}: ${link} has no test "${title}"`];
    }
    return [];
  });
}

test('every feature is answered, in order', () => {
  expect(rowsOf(page).map(({ number }) => number)).toEqual(Array.from({ length: FEATURES }, (_, index) => index + 1));
});

test('every test and page that is named exists', () => {
  expect(rowsOf(page).flatMap(problemsOf)).toEqual([]);
});

test.each([
  ['| 1 | planted | yes | [a](../test/none.test.ts): `nothing` |', 'does not exist'],
  ['| 1 | planted | yes | [a](../test/work/work.test.ts): `no such test` |', 'has no test'],
  ['| 1 | planted | yes | [a](../test/architecture/features.test.ts) |', 'without the name of a test'],
  ['| 1 | planted | yes | certainly |', 'neither test nor page'],
  ['| 1 | planted | no | no reason |', 'gives no reason'],
  ['| 1 | planted | ~ | [a](testing.md) |', 'is answered by'],
])('the check finds what is wrong with %s', (markdown, problem) => {
  expect(rowsOf(markdown).flatMap(problemsOf)).toEqual([expect.stringContaining(problem)]);
});
