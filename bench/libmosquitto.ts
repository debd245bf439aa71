import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { compile, MissingError } from './native.js';
import type { Sample, Task } from './tasks.js';
import { floodFilter } from './wire.js';

const run = promisify(execFile);

let compiled: Promise<string> | undefined;
const program = (): Promise<string> => (compiled ??= compile('libmosquitto', 'mosquitto'));

/** @returns undefined, or why there will be no row of libmosquitto */
export async function whyNoLibmosquitto(): Promise<string | undefined> {
  try {
    await program();
    return undefined;
  } catch (error) {
    if (error instanceof MissingError) return error.message;
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
  const { stdout } = await run(await program(), [task.kind, hostname, port, ...numbers, filter], {
    timeout: timeoutMs,
  });
  return JSON.parse(stdout) as Sample;
}
