// Compiles the client, the test kit and the simulation into a folder of their own, file by file and without type checks, so that
// they run in plain Node: faster than under Vitest, and with a bug planted in one file where that is asked for.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['lib/eventloop', 'lib/testing', 'test/simulation'];
const options = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  isolatedModules: true,
};

const javascript = (path, source) =>
  ts.transpileModule(source, { fileName: path, compilerOptions: options }).outputText;

/** @returns the new folder; it is removed when the process ends */
export function compile() {
  // Inside node_modules, where mqtt-packet is found and no tool looks.
  const parent = join(root, 'node_modules/.cache');
  mkdirSync(parent, { recursive: true });
  const target = mkdtempSync(join(parent, 'simulation-'));
  process.on('exit', () => rmSync(target, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
  for (const folder of FOLDERS) {
    for (const path of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (path.endsWith('.ts') && !path.endsWith('.test.ts')) compileFile(target, join(folder, path));
    }
  }
  return target;
}

/** @param change applied to the source on its way; the work tree stays as it is */
export function compileFile(target, path, change = (source) => source) {
  const file = join(target, path.replace(/[.]ts$/, '.js'));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, javascript(path, change(readFileSync(join(root, path), 'utf8'))));
}
