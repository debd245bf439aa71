import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Sample, Task } from './tasks.js';
import { floodFilter } from './wire.js';

const run = promisify(execFile);
const source = fileURLToPath(new URL('../libmosquitto.c', import.meta.url));
const program = fileURLToPath(new URL('./libmosquitto', import.meta.url));

let compiled: Promise<unknown> | undefined;

/** @returns undefined, or why there will be no row of libmosquitto */
export async function whyNoLibmosquitto(): Promise<string | undefined> {
  compiled ??= run('cc', ['-O2', '-Wall', '-o', program, source, '-lmosquitto']);
  try {
    await compiled;
    return undefined;
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') return 'no C compiler (cc)';
    if (stderr.includes('mosquitto.h')) return 'its headers are not installed (apt install libmosquitto-dev)';
    throw error;
  }
}

/** Its process is the C program's, so it measures itself. */
export async function runLibmosquitto(task: Task, timeoutMs: number): Promise<Sample> {
  if (task.kind !== 'publish' && task.kind !== 'receive') throw new Error(`libmosquitto has no row ${task.kind}`);
  const { hostname, port } = new URL(task.url);
  const messages = task.warmUp + task.messages;
  const filter = floodFilter({ messages, topics: 100, firstTopic: 0, payload: task.payload });
  const numbers = [task.protocolVersion, task.qos, task.payload, task.warmUp, task.messages].map(String);
  const { stdout } = await run(program, [task.kind, hostname, port, ...numbers, filter], { timeout: timeoutMs });
  return JSON.parse(stdout) as Sample;
}
