import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { root } from './planted.js';

/** Every normative statement there is, `section: numbers`. */
const MQTT_5 = `1.5.4: 1–3. 1.5.5: 1. 1.5.7: 1. 2.1.3: 1. 2.2.1: 2–6. 2.2.2: 1. 3.1.0: 1, 2. 3.1.2: 1–30. 3.1.3: 1–12.
  3.1.4: 1–6. 3.2.0: 1, 2. 3.2.2: 1–22. 3.3.1: 1–13. 3.3.2: 1–20. 3.3.4: 1–10. 3.4.2: 1–3. 3.5.2: 1–3. 3.6.1: 1.
  3.6.2: 1–3. 3.7.2: 1–3. 3.8.1: 1. 3.8.3: 1–5. 3.8.4: 1–8. 3.9.2: 1, 2. 3.9.3: 1, 2. 3.10.1: 1. 3.10.3: 1, 2.
  3.10.4: 1–6. 3.11.2: 1, 2. 3.11.3: 1, 2. 3.12.4: 1. 3.14.0: 1. 3.14.1: 1. 3.14.2: 1–4. 3.14.4: 1–3. 3.15.1: 1.
  3.15.2: 1–3. 4.1.0: 1, 2. 4.2.0: 1. 4.3.1: 1. 4.3.2: 1–5. 4.3.3: 1–13. 4.4.0: 1, 2. 4.5.0: 1, 2. 4.6.0: 1–6.
  4.7.0: 1. 4.7.1: 1, 2. 4.7.2: 1. 4.7.3: 1–4. 4.8.2: 1–6. 4.9.0: 1–3. 4.12.0: 1–7. 4.12.1: 1, 2. 4.13.1: 1.
  4.13.2: 1. 6.0.0: 1–4.`;
const MQTT_3 = `1.5.3: 1–3. 2.2.2: 1, 2. 2.3.1: 1–7. 3.1.0: 1, 2. 3.1.2: 1–24. 3.1.3: 1–11. 3.1.4: 1–5. 3.2.0: 1.
  3.2.2: 1–6. 3.3.1: 1–12. 3.3.2: 1–3. 3.3.4: 1. 3.3.5: 1, 2. 3.6.1: 1. 3.8.1: 1. 3.8.3: 1–4. 3.8.4: 1–6.
  3.9.3: 1, 2. 3.10.1: 1. 3.10.3: 1, 2. 3.10.4: 1–6. 3.12.4: 1. 3.14.1: 1. 3.14.4: 1–3. 4.1.0: 1, 2. 4.3.1: 1.
  4.3.2: 1, 2. 4.3.3: 1, 2. 4.4.0: 1. 4.5.0: 1, 2. 4.6.0: 1–6. 4.7.1: 1–3. 4.7.2: 1. 4.7.3: 1–4. 4.8.0: 1, 2.
  6.0.0: 1–4. 7.0.0: 1, 2. 7.1.1: 1. 7.1.2: 1.`;

interface Row {
  readonly mqtt5: readonly string[];
  readonly mqtt3: readonly string[];
  readonly tests: readonly string[];
}

/** The titles in a test file; undefined when there is no such file. */
type LookUp = (path: string) => readonly string[] | undefined;

/** What is wrong with the page. */
function problems(page: string, lookUp: LookUp): string[] {
  const rows = rowsOf(page);
  return [...rows.flatMap((row) => untested(row, lookUp)), ...strangers(rows, lookUp), ...gaps(page, rows)];
}

function rowsOf(page: string): Row[] {
  return [...page.matchAll(/^\| *([\d., –-]*\d[\d., –-]*|–) *\| *([^|]*?) *\|[^|]*\| *([^|]*?) *\|.*\|$/gm)].map(
    ([, mqtt5 = '', mqtt3 = '', tests = '']) => ({
      mqtt5: identifiers(mqtt5),
      mqtt3: identifiers(mqtt3),
      tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, path]) => path!),
    }),
  );
}

const identifiers = (cell: string): string[] => cell.match(/\d+\.\d+\.\d+-\d+/g) ?? [];

/** How titles name the statements of a row. */
function labelsOf({ mqtt5, mqtt3 }: Row): string[] {
  return mqtt5.length > 0 ? mqtt5.map((id) => `[MQTT-${id}]`) : mqtt3.map((id) => `[MQTT-${id} of 3.1.1]`);
}

function untested(row: Row, lookUp: LookUp): string[] {
  const labels = labelsOf(row);
  const name = labels.join(' ');
  if (row.tests.length === 0) return [`${name} has no test`];
  const titles = row.tests.map((path) => [path, lookUp(path)] as const);
  const has = (of: readonly string[] | undefined, label: string): boolean =>
    of?.some((t) => t.includes(label)) ?? false;
  return [
    ...titles.filter(([, of]) => of === undefined).map(([path]) => `${name} names ${path}, which does not exist`),
    ...titles
      .filter(([, of]) => of !== undefined && !labels.some((label) => has(of, label)))
      .map(([path]) => `${name} names ${path}, where no title names it`),
    ...labels.filter((label) => !titles.some(([, of]) => has(of, label))).map((label) => `${label} is in no title`),
  ];
}

/** Titles that claim a statement which the page does not list: a slip of the pen, or a row that was forgotten. */
function strangers(rows: readonly Row[], lookUp: LookUp): string[] {
  const known = new Set(rows.flatMap(labelsOf));
  const files = new Set(rows.flatMap(({ tests }) => tests));
  return [...files].flatMap((path) =>
    (lookUp(path) ?? [])
      .flatMap((title) => title.match(/\[MQTT-[^\]]*\]/g) ?? [])
      .filter((label) => !known.has(label))
      .map((label) => `${path} names ${label}, which the page does not list`),
  );
}

/** Statements that are missing, twice, or none at all. */
function gaps(page: string, rows: readonly Row[]): string[] {
  const [, left5 = '', left3 = ''] = /^## Left out$.*?^MQTT 5:$(.*)^MQTT 3\.1\.1:$(.*)/ms.exec(page) ?? [];
  const listed5 = [...rows.flatMap(({ mqtt5 }) => mqtt5), ...spelledOut(left5)];
  // A statement of 3.1.1 can be several of MQTT 5.
  const listed3 = [...new Set(rows.flatMap(({ mqtt3 }) => mqtt3)), ...spelledOut(left3)];
  return [...difference('MQTT 5', spelledOut(MQTT_5), listed5), ...difference('3.1.1', spelledOut(MQTT_3), listed3)];
}

function difference(specification: string, all: readonly string[], listed: readonly string[]): string[] {
  return [
    ...all.filter((id) => !listed.includes(id)).map((id) => `${id} of ${specification} is missing`),
    ...listed.filter((id) => !all.includes(id)).map((id) => `${specification} has no ${id}`),
    ...listed
      .filter((id, index) => listed.indexOf(id) !== index)
      .map((id) => `${id} of ${specification} is there twice`),
  ];
}

/** `3.1.2: 5–7, 10.` is 3.1.2-5, 3.1.2-6, 3.1.2-7, 3.1.2-10. */
function spelledOut(notation: string): string[] {
  return [...notation.matchAll(/(\d+\.\d+\.\d+): ([\d, –]+)/g)].flatMap(([, section, numbers = '']) =>
    numbers.split(',').flatMap((part) => {
      const [from = 0, to = from] = part.split('–').map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => `${section}-${from + index}`);
    }),
  );
}

/** What names the tests of a file: titles of tests that run, and the text in the tables of `each`. */
function titlesIn(source: string): string[] {
  const titles: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isOfRunner(node.expression)) {
      if (!runs(node.expression)) return;
      const [titleOrTable] = node.arguments;
      if (titleOrTable) titles.push(...textsOf(titleOrTable));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('test.ts', source, ts.ScriptTarget.Latest));
  return titles;
}

function isOfRunner(callee: ts.Node): boolean {
  if (ts.isIdentifier(callee)) return ['test', 'it', 'describe'].includes(callee.text);
  return (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) && isOfRunner(callee.expression);
}

/** `test`, `describe.each(…)` and the like, but not `test.skip`. */
function runs(callee: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(callee)) return callee.name.text === 'each' && runs(callee.expression);
  return ts.isCallExpression(callee) ? runs(callee.expression) : true;
}

function textsOf(node: ts.Node): string[] {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isFunctionLike(node)) return [];
  const texts: string[] = [];
  ts.forEachChild(node, (child) => void texts.push(...textsOf(child)));
  return texts;
}

const read = new Map<string, readonly string[] | undefined>();

function titlesOf(path: string): readonly string[] | undefined {
  const file = join(root, 'test', path);
  if (!read.has(path)) read.set(path, existsSync(file) ? titlesIn(readFileSync(file, 'utf8')) : undefined);
  return read.get(path);
}

const page = readFileSync(join(root, 'docs/conformance.md'), 'utf8');

it('docs/conformance.md lists every normative statement, and every one that binds a client has its test', () => {
  expect(rowsOf(page).length).toBeGreaterThan(150);
  expect(problems(page, titlesOf)).toEqual([]);
});

describe('the check finds', () => {
  const [row] = /^\| 4\.4\.0-1 .*$/m.exec(page)!;
  const cells = row.split('|');
  const planted = (index: number, text: string): string => page.replace(row, cells.with(index, ` ${text} `).join('|'));

  it.each([
    ['a statement without a test', planted(4, '–'), '[MQTT-4.4.0-1] has no test'],
    [
      'a test that does not exist',
      planted(4, '`none.test.ts`'),
      '[MQTT-4.4.0-1] names none.test.ts, which does not exist',
    ],
    [
      'a test that does not name the statement',
      planted(4, '`unit/eventloop/topics.test.ts`'),
      '[MQTT-4.4.0-1] names unit/eventloop/topics.test.ts, where no title names it',
    ],
    ['a statement that is listed twice', planted(1, '4.3.3-1, 4.4.0-1'), '4.3.3-1 of MQTT 5 is there twice'],
    ['a statement that is not listed', page.replace(`${row}\n`, ''), '4.4.0-1 of MQTT 5 is missing'],
    ['a statement of 3.1.1 that is not listed', planted(2, '2.3.1-3'), '4.4.0-1 of 3.1.1 is missing'],
    [
      'one that is listed and left out',
      page.replace('6.0.0: 1–4.', '4.4.0: 1. 6.0.0: 1–4.'),
      '4.4.0-1 of MQTT 5 is there twice',
    ],
    ['one that does not exist', planted(1, '4.4.0-1, 4.4.0-9'), 'MQTT 5 has no 4.4.0-9'],
    [
      'a title that names what is not listed',
      planted(1, '–'),
      'e2e/eventloop/session-state.test.ts names [MQTT-4.4.0-1], which the page does not list',
    ],
  ])('%s', (_what, spoilt, problem) => {
    expect(problems(spoilt, titlesOf)).toContain(problem);
  });

  it('an identifier that is only the beginning of another', () => {
    const short = { mqtt5: ['3.1.2-2'], mqtt3: [], tests: ['a.test.ts'] };
    expect(untested(short, () => ['[MQTT-3.1.2-20] keep alive'])).toContain('[MQTT-3.1.2-2] is in no title');
    expect(untested(short, () => ['[MQTT-3.1.2-20] [MQTT-3.1.2-2] both'])).toEqual([]);
  });

  it('no title in a test that is skipped, in a comment, or in a test itself', () => {
    const titles = titlesIn(`
      // test('[a] in a comment')
      test('[b] a test', () => expect('[c]').toBe('[d]'));
      test.skip('[e] skipped', () => {});
      it.todo('[f] to do');
      describe.skip('[g] skipped', () => { test('[m] with it', () => {}); });
      describe('[h] a group', () => { it.each([['[i] a row', () => '[j]']])(\`[k] %s\`, () => {}); });
      test.each(versions)('[l]' + ' and more', () => {});
    `);
    expect(titles.join(' ').match(/\[\w\]/g)).toEqual(['[b]', '[h]', '[k]', '[i]', '[l]']);
  });
});
