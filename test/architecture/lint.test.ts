import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { plant, root, runTool } from './planted.js';

const everywhere = ['lib/eventloop', 'lib', 'test', 'sample/01', 'bench'];
const core = ['lib/eventloop/session', 'lib/eventloop/admission', 'lib/eventloop/reconnect'];

const breaks: [rule: string, source: string, folders: readonly string[]][] = [
  ['no-restricted-globals', 'export const a = Date.now();', core],
  ['no-restricted-globals', 'export const a = new Date();', core],
  ['no-restricted-globals', 'export const a = performance.now();', core],
  ['no-restricted-globals', 'setTimeout(() => {}, 1);', core],
  ['no-restricted-globals', 'setInterval(() => {}, 1);', core],
  ['no-restricted-globals', 'setImmediate(() => {});', core],
  ['no-restricted-globals', 'queueMicrotask(() => {});', core],
  ['no-restricted-globals', 'process.nextTick(() => {});', core],
  ['no-restricted-globals', 'export const a = crypto.randomUUID();', core],
  ['no-restricted-globals', 'globalThis.setTimeout(() => {}, 1);', core],
  ['no-restricted-properties', 'export const a = Math.random();', core],
  ['no-restricted-properties', 'const { random } = Math; export const a = random();', core],
  ['no-restricted-properties', 'export const a = AbortSignal.timeout(1);', core],
  ['no-explicit-any', 'export const a: any = 1;', [...core, 'lib', 'lib/testing']],
  ['no-console', 'console.log(1);', [...core, 'lib', 'lib/testing']],
  ['max-lines', lines(301), [...core, 'lib', 'lib/testing']],
  ['no-floating-promises', 'async function f(): Promise<void> {} f();', everywhere],
  ['no-misused-promises', 'export const f = (p: Promise<void>): number => (p ? 1 : 2);', everywhere],
];

const allowed = {
  'lib/allowed.ts': lines(300),
  'lib/eventloop/allowed.ts': 'export const a = Date.now() + Math.random();',
  'lib/eventloop/session/allowed.ts': 'export const a = (at: Date, nowMs: number) => Math.max(nowMs, at.getTime());',
  'sample/01/allowed.ts': 'console.log(1);',
};

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) => `export const a${index} = 0;\n`).join('');
}

describe('the lint rules', () => {
  let findings: readonly { readonly code: string; readonly filename: string }[];

  beforeAll(async () => {
    const mistakes = breaks.flatMap(([, source, folders], index) =>
      folders.map((folder): [string, string] => [`${folder}/mistake-${index}.ts`, source]),
    );
    using project = plant({
      ...Object.fromEntries(mistakes),
      ...allowed,
      '.oxlintrc.json': readFileSync(join(root, '.oxlintrc.json'), 'utf8'),
      'tsconfig.json': readFileSync(join(root, 'tsconfig.json'), 'utf8'),
    });
    const args = ['--format', 'json', 'lib', 'test', 'sample', 'bench'];
    findings = JSON.parse(await runTool('oxlint/bin/oxlint', args, project.directory)).diagnostics;
  });

  it.each(breaks.map(([rule, source, folders], index) => ({ rule, mistake: source.slice(0, 60), folders, index })))(
    '$rule: $mistake',
    ({ rule, folders, index }) => {
      const found = findings.filter(({ code }) => code.endsWith(`(${rule})`)).map(({ filename }) => filename);

      expect(found).toEqual(expect.arrayContaining(folders.map((folder) => `${folder}/mistake-${index}.ts`)));
    },
  );

  it('let pass what keeps them', () => {
    expect(findings.filter(({ filename }) => filename in allowed)).toEqual([]);
  });
});
