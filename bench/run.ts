import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Task } from './scenarios.js';

const TIMEOUT_MS = 300_000;
const env = { ...process.env, NODE_ENV: 'production', DEBUG: '' };

/** Runs one task in a fresh process and returns what it measured. */
export async function runTask<Result>(task: Task): Promise<Result> {
  const child = fork(script('client-process'), [JSON.stringify(task)], {
    env,
    execArgv: task.kind === 'memory' ? ['--expose-gc'] : [],
    timeout: TIMEOUT_MS,
  });
  const result = once(child, 'message');
  const exit = once(child, 'exit');
  const outcome = await Promise.race([result, exit.then(() => undefined)]);
  if (!outcome)
    throw new Error(
      `${task.client} failed at ${JSON.stringify(task)} (exit code ${child.exitCode ?? child.signalCode})`,
    );
  await exit;
  return outcome[0] as Result;
}

export interface Peer {
  readonly url: string;
  stop(): void;
}

export async function startPeer(): Promise<Peer> {
  const child = fork(script('peer'), { env });
  const [address] = (await once(child, 'message')) as [AddressInfo];
  return { url: `mqtt://127.0.0.1:${address.port}`, stop: () => child.disconnect() };
}

/** A URL where nothing listens. */
export async function deadUrl(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return `mqtt://127.0.0.1:${port}`;
}

function script(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}
