import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 10_000;

export interface Broker {
  readonly url: string;
  stop(): void;
}

/** A Mosquitto on this port. @returns undefined when it is not installed */
export async function startMosquitto(port: number): Promise<Broker | undefined> {
  const directory = mkdtempSync(join(tmpdir(), 'nestjs-rumqtt-bench-'));
  const config = join(directory, 'mosquitto.conf');
  writeFileSync(
    config,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'set_tcp_nodelay true',
      'max_queued_messages 0',
      'log_type none',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      '',
    ].join('\n'),
  );
  // Distributions install it for administrators, outside the PATH of others.
  const PATH = [process.env['PATH'], '/usr/sbin', '/usr/local/sbin'].join(delimiter);
  const child = spawn('mosquitto', ['-c', config], { stdio: 'ignore', env: { ...process.env, PATH } });
  let failure: NodeJS.ErrnoException | undefined;
  child.once('error', (error) => (failure = error));
  child.once('exit', () => rmSync(directory, { recursive: true }));
  for (const deadline = performance.now() + START_TIMEOUT_MS; !(await answers(port)); await sleep(50)) {
    if (failure?.code === 'ENOENT') {
      rmSync(directory, { recursive: true });
      return undefined;
    }
    if (failure !== undefined || child.exitCode !== null || performance.now() > deadline)
      throw new Error('Mosquitto does not start', { cause: failure });
  }
  return { url: `mqtt://127.0.0.1:${port}`, stop: () => void child.kill() };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (answered: boolean) => (): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', settle(true)).once('error', settle(false));
  });
}
