import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { startMosquitto, type Broker } from './broker.js';
import { runLibmosquitto, whyNoLibmosquitto } from './libmosquitto.js';
import { compile } from './native.js';
import type { Entrant, Scenario } from './scenarios.js';
import type { Sample, Task } from './tasks.js';
import type { Version } from './wire.js';

const TIMEOUT_MS = 300_000;
const MEASURES_HEAP: ReadonlySet<Task['kind']> = new Set(['memory', 'idle', 'open-requests', 'open-retries']);
const env = { ...process.env, NODE_ENV: 'production', DEBUG: '' };
const ownPrograms = new URL('.', import.meta.url);

/** In place of Node itself. */
export interface Launcher {
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly cwd: string;
}

/** Runs one task in a fresh process and returns what it measured. */
export async function runTask(
  task: Task,
  { programs = ownPrograms, launcher }: { readonly programs?: URL; readonly launcher?: Launcher } = {},
): Promise<Sample> {
  if (task.client === 'libmosquitto') return runLibmosquitto(task, TIMEOUT_MS);
  const child = fork(fileURLToPath(new URL('client-process.js', programs)), [JSON.stringify(task)], {
    env,
    cwd: launcher?.cwd,
    execPath: launcher?.execPath ?? process.execPath,
    execArgv: [
      ...(launcher?.execArgv ?? []),
      ...(MEASURES_HEAP.has(task.kind) ? ['--expose-gc', '--max-old-space-size=4096'] : []),
    ],
    timeout: launcher === undefined ? TIMEOUT_MS : 0, // who counts instructions takes as long as it takes
  });
  const result = once(child, 'message');
  const exit = once(child, 'exit');
  const outcome = await Promise.race([result, exit.then(() => undefined)]);
  if (!outcome)
    throw new Error(
      `${task.client} failed at ${JSON.stringify(task)} (exit code ${child.exitCode ?? child.signalCode})`,
    );
  await exit;
  return outcome[0] as Sample;
}

export interface TaskOptions {
  readonly protocolVersion: Version;
  /** In place of the entrant's own, after a warm-up of as many. */
  readonly messages: number | undefined;
}

/** The servers that the chosen rows need. */
export class Servers {
  readonly #urls: Readonly<Partial<Record<Scenario['server'], string>>>;
  readonly #brokers: readonly Broker[];
  /** What is left out because something is not installed, and why. */
  readonly leftOut: readonly string[];

  private constructor(
    urls: Readonly<Partial<Record<Scenario['server'], string>>>,
    brokers: readonly Broker[],
    leftOut: readonly string[],
  ) {
    this.#urls = urls;
    this.#brokers = brokers;
    this.leftOut = leftOut;
  }

  static async start(scenarios: readonly Scenario[]): Promise<Servers> {
    const peer = await startPeer();
    const leftOut: string[] = [];
    let mosquitto: Broker | undefined;
    if (scenarios.some(({ server }) => server === 'mosquitto')) {
      mosquitto = await startMosquitto(await freePort());
      if (mosquitto === undefined) leftOut.push('requests: Mosquitto is not installed (apt install mosquitto)');
    }
    const brokers = mosquitto === undefined ? [peer] : [peer, mosquitto];
    const urls = {
      peer: peer.url,
      dead: `mqtt://127.0.0.1:${await freePort()}`,
      ...(mosquitto !== undefined && { mosquitto: mosquitto.url }),
    };
    if (scenarios.some(({ entrants }) => entrants.some(({ client }) => client === 'libmosquitto'))) {
      const why = await whyNoLibmosquitto();
      if (why !== undefined) leftOut.push(`libmosquitto: ${why}`);
    }
    const servers = new Servers(urls, brokers, leftOut);
    // Also when a measurement fails, or somebody has seen enough.
    process.once('exit', () => servers.stop());
    process.once('SIGINT', () => process.exit(130));
    process.once('SIGTERM', () => process.exit(143));
    return servers;
  }

  has(scenario: Scenario, { client }: Entrant): boolean {
    if (this.#urls[scenario.server] === undefined) return false;
    return client !== 'libmosquitto' || !this.leftOut.some((line) => line.startsWith(client));
  }

  task({ server }: Scenario, entrant: Entrant, { protocolVersion, messages }: TaskOptions): Task {
    return {
      client: entrant.client,
      url: this.#urls[server]!,
      protocolVersion,
      messages: messages ?? entrant.messages,
      warmUp: messages ?? entrant.warmUp,
      ...entrant.work,
    };
  }

  stop(): void {
    for (const broker of this.#brokers) broker.stop();
  }
}

async function startPeer(): Promise<Broker> {
  // It ends with its standard input, and so with this process, however that ends.
  const child = spawn(await compile('peer'), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the benchmark's peer ended at once (exit code ${code}): it found no port on 127.0.0.1`);
  });
  const [port] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
  return { url: `mqtt://127.0.0.1:${Number(port)}`, stop: () => void child.kill() };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
