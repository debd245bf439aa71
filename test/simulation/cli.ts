import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { generateProgram } from './generate.js';
import { runSeeds, seedsFrom } from './pool.js';
import { describeStep, type Program } from './program.js';
import { shrink } from './shrink.js';
import { simulate } from './simulate.js';
import type { Report } from './worker.js';

const HOUR_MS = 3_600_000;

/** `npm run simulate`: many seeds, or one in every detail. */
export async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      trace: { type: 'boolean', default: false },
    },
  });
  if (values.seed !== undefined) process.exitCode = (await showOne(values.seed, values.trace)) ? 0 : 1;
  else process.exitCode = (await many(Number(values.from), Number(values.seeds), Number(values.workers))) ? 0 : 1;
}

async function many(from: number, count: number, workers: number): Promise<boolean> {
  const beganAtMs = performance.now();
  const total = { seeds: 0, publishes: 0, messages: 0, connections: 0, packets: 0, virtualMs: 0 };
  const failed: Report[] = [];
  await runSeeds(new URL('worker.js', import.meta.url), workers, seedsFrom(from, count), (report) => {
    total.seeds++;
    for (const name of ['publishes', 'messages', 'connections', 'packets', 'virtualMs'] as const)
      total[name] += report[name];
    if (report.failure !== undefined) failed.push(report);
    return true;
  });
  const seconds = (performance.now() - beganAtMs) / 1_000;
  print(`seeds ${from} to ${from + count - 1}: ${total.seeds - failed.length} hold, ${failed.length} fail`);
  print(
    `${total.publishes} publishes, ${total.messages} messages, ${total.connections} connections, ${total.packets} packets, ` +
      `${(total.virtualMs / HOUR_MS).toFixed(1)} virtual hours in ${seconds.toFixed(1)} s (${(total.seeds / seconds).toFixed(0)} seeds a second)`,
  );
  if (failed.length === 0) return true;
  failed.sort((first, second) => Number(first.seed) - Number(second.seed));
  for (const invariant of new Set(failed.map(({ failure }) => failure!.invariant))) {
    const reports = failed.filter(({ failure }) => failure!.invariant === invariant);
    print(`\n${reports.length} x ${invariant}`);
    for (const { seed, failure } of reports.slice(0, 5))
      print(`  npm run simulate -- --seed ${seed}    # ${failure!.detail}`);
  }
  const shown = failed.find(({ failure }) => failure!.invariant !== 'nothing hangs');
  if (shown !== undefined) await showOne(shown.seed, false);
  return false;
}

async function showOne(seed: string, trace: boolean): Promise<boolean> {
  const program = generateProgram(seed);
  const { failure, log } = await simulate(program, true);
  if (failure === undefined) {
    if (trace) show(program, log);
    print(`\nseed ${seed} holds`);
    return true;
  }
  print(`\nseed ${seed} fails: ${failure.invariant}: ${failure.detail}\nshrinking …`);
  const smallest = trace ? program : await shrink(program, failure.invariant);
  const { failure: shrunk, log: shortLog } = await simulate(smallest, true);
  show(smallest, shortLog);
  print(`\n${shrunk?.invariant}: ${shrunk?.detail}`);
  print(`replay: npm run simulate -- --seed ${seed}    (--trace: without shrinking)`);
  return false;
}

function show({ options, weather, broker, handlers, steps }: Program, log: readonly string[]): void {
  for (const [name, value] of Object.entries({ options, weather, broker, handlers }))
    print(`${name}: ${JSON.stringify(value)}`);
  print(`\n${steps.length} steps\n${steps.map(describeStep).join('\n')}\n\ncourse\n${log.join('\n')}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
