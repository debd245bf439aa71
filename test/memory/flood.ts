import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface FloodResult {
  /** How far the resident set grew at most, garbage collected. */
  readonly growthBytes: number;
  /** What was held at the end of the flood. */
  readonly queued: number;
  readonly queuedBytes: number;
  readonly waiting: number;
  /** How often each outcome came, after shutdown. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Floods an event loop that never connects, in a Node process that holds nothing else (flood.mjs). */
export async function floodAlone(publishes: number, options: EventLoopOptions): Promise<FloodResult> {
  const directory = transpile();
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      join(root, 'test/memory/flood.mjs'),
      join(directory, 'index.js'),
      String(publishes),
      JSON.stringify(options),
    ]);
    return JSON.parse(stdout) as FloodResult;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Plain JavaScript for a process without a loader; inside node_modules, so that dependencies are found. */
function transpile(): string {
  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'nestjs-rumqtt-'));
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  const source = join(root, 'lib/eventloop');
  for (const path of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue;
    const { outputText } = ts.transpileModule(readFileSync(join(source, path), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    });
    const output = join(directory, path.replace(/[.]ts$/, '.js'));
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, outputText);
  }
  return directory;
}
