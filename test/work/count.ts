import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { QoS } from 'nestjs-rumqtt/eventloop';

/** What 1 000 messages took. */
export interface Work {
  /** To the socket: system calls. */
  readonly writes: number;
  /** In those writes. */
  readonly bytes: number;
  readonly promises: number;
  readonly timers: number;
  readonly immediates: number;
  /** `process.nextTick`. */
  readonly ticks: number;
  /** On the heap. */
  readonly allocatedBytes: number;
  /** In buffers outside of it. */
  readonly bufferBytes: number;
}

export interface Task {
  readonly direction: 'out' | 'in';
  readonly qos: QoS;
  readonly protocolVersion: 4 | 5;
  /** Does this once more for every message, in place of what it measures. */
  readonly waste?: keyof Work;
}

const program = fileURLToPath(new URL('./count.mjs', import.meta.url));
// A nursery that is not collected during a measurement, so that what it holds is all that was allocated.
const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];

/** Counts in a Node process that does nothing else (count.mjs). @returns the same counts, several times over */
export async function count(eventLoop: string, task: Task): Promise<Work[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program, eventLoop, JSON.stringify(task)]);
  return JSON.parse(stdout) as Work[];
}
