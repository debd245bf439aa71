import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { transpileEventLoop } from '../fixtures/transpile.js';

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
  const directory = transpileEventLoop();
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
