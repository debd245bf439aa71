/**
 * Side by side: nestjs-rumqtt, MQTT.js and Nest's built-in transport. `npm run bench -- --help` lists the options.
 *
 * Rounds are interleaved, so a busy minute of the machine hits every client; each measurement has a process of its own.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Sample } from './measure.js';
import type { MemorySample } from './memory.js';
import { cpuRow, environment, printCpuTable, printMemoryTable, type MemoryRow } from './report.js';
import { deadUrl, runTask, startPeer } from './run.js';
import { scenarios, type ClientName, type Scenario, type Task } from './scenarios.js';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    client: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    messages: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  console.log(`npm run bench -- [options]
  --only name      a scenario, or the first word of several; may be given again
  --client name    ours, mqttjs or builtin; may be given again
  --rounds n       measurements of each client and scenario (5)
  --messages n     measured messages of every client, after a warm-up of half as many
  --json file      writes every number

Scenarios: ${scenarios.map((scenario) => scenario.name).join(', ')}`);
  process.exit();
}

interface Entry {
  readonly scenario: Scenario;
  readonly client: ClientName;
  readonly samples: (Sample & MemorySample)[];
}

const isNamed = ({ name }: Scenario): boolean =>
  options.only.some((only) => name === only || name.startsWith(`${only}-`));
const chosen = options.only.length === 0 ? scenarios : scenarios.filter(isNamed);
const entries: Entry[] = chosen.flatMap((scenario) =>
  (Object.keys(scenario.messages) as ClientName[])
    .filter((client) => options.client.length === 0 || options.client.includes(client))
    .map((client) => ({ scenario, client, samples: [] })),
);
if (entries.length === 0) throw new Error('no such scenario or client; --help lists them');

const peer = await startPeer();
const dead = await deadUrl();
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const { scenario, client, samples } of entries) {
    const isMemory = scenario.work.kind === 'memory';
    if (isMemory && round > 1) continue;
    process.stderr.write(`\r\x1b[Kround ${round}: ${scenario.name} ${client}`);
    const messages = Number(options.messages ?? scenario.messages[client]);
    const warmUp = Math.ceil(isMemory ? messages / 10 : messages / 2);
    const task: Task = { client, url: isMemory ? dead : peer.url, messages, warmUp, ...scenario.work };
    samples.push(await runTask(task));
  }
}
process.stderr.write('\r\x1b[K');
peer.stop();

const [memoryEntries, cpuEntries] = [
  entries.filter((entry) => entry.scenario.work.kind === 'memory'),
  entries.filter((entry) => entry.scenario.work.kind !== 'memory'),
];
const cpu = cpuEntries.map((entry) => cpuRow(entry.scenario, entry.client, entry.samples));
const memory = memoryEntries.map((entry): MemoryRow => ({
  scenario: entry.scenario.name,
  client: entry.client,
  ...entry.samples[0]!,
}));
if (cpu.length > 0) printCpuTable(chosen, cpu);
if (memory.length > 0) printMemoryTable(memory);
if (options.json !== undefined) {
  const report = { environment: environment(), at: new Date().toISOString(), cpu, memory };
  writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}
