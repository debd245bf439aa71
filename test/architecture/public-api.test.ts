import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { plant, root } from './planted.js';

/** Exported names whose doc comment does not say whom they are for: `@publicApi` or `@internal`. */
function undocumentedExports(directory: string, entryPoint: string): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, directory);
  const program = ts.createProgram([join(directory, entryPoint)], options);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(join(directory, entryPoint));
  const entry = file && checker.getSymbolAtLocation(file);
  if (!entry) throw new Error(`${entryPoint} does not exist or exports nothing`);

  return checker
    .getExportsOfModule(entry)
    .filter((symbol) => {
      const declared = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return !declared.getJsDocTags(checker).some(({ name }) => name === 'publicApi' || name === 'internal');
    })
    .map(({ name }) => name);
}

describe('the public API', () => {
  const entryPoints = Object.values<{ types?: string }>(
    JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports,
  )
    .flatMap(({ types }) => types ?? [])
    .map((path) => path.replace('./dist', 'lib').replace('.d.ts', '.ts'));

  it.each(entryPoints)('%s documents every export', (entryPoint) => {
    expect(undocumentedExports(root, entryPoint)).toEqual([]);
  });

  it('is told from a comment that does not say whom an export is for', () => {
    using project = plant({
      'index.ts': `
        /** For users. @publicApi */
        export const forUsers = 1;
        /** @internal */
        export function forUs(): void {}
        /** On the map, for the type derived from it too. @publicApi */
        export const Status = { idle: 'idle' } as const;
        export type Status = (typeof Status)[keyof typeof Status];
        /** Says nothing of that kind. */
        export class Vague {}
        export interface Bare {}
        // @publicApi, but not in a doc comment
        export type Commented = string;
        export * from './other.js';`,
      'other.ts': `
        export { hidden as renamed };
        const hidden = 1;
        /** @publicApi */
        export abstract class Other {}
        `,
    });

    expect(undocumentedExports(project.directory, 'index.ts')).toEqual(['Vague', 'Bare', 'Commented', 'renamed']);
  });
});
