/**
 * Side by side: nestjs-rumqtt, MQTT.js, Nest's built-in transport, libmosquitto and the raw socket.
 * `npm run bench -- --help` lists the options.
 *
 * Rounds are interleaved, so a busy minute of the machine hits every client; each measurement has a process of its own.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chart } from './chart.js';
import { environment, linesOf, printTable, type Entry } from './report.js';
import { runTask, Servers } from './run.js';
import { isNamed, scenarios } from './scenarios.js';
import { optionsOf, rowOptions, rowOptionsHelp } from './row-options.js';

const { values } = parseArgs({
  options: {
    ...rowOptions,
    only: { type: 'string', multiple: true, default: [] },
    client: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
    chart: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const options = optionsOf(values);
const all = scenarios(options);

if (values.help) {
  console.log(`npm run bench -- [options]
  --only name          a row, or the first word of several; may be given again
  --client name        ours, mqttjs, builtin, libmosquitto or limit; may be given again
  --rounds n           measurements of each client and row (5)
${rowOptionsHelp}
  --json file          writes every number
  --chart file         writes the chart of the README, as SVG

Rows: ${all.map(({ name }) => name).join(', ')}`);
  process.exit();
}

const chosen = all.filter(({ name }) => isNamed(name, values.only));
const servers = await Servers.start(chosen);
const entries: Entry[] = chosen.flatMap((scenario) =>
  scenario.entrants
    .filter((entrant) => values.client.length === 0 || values.client.includes(entrant.client))
    .filter((entrant) => servers.has(scenario, entrant))
    .map((entrant) => ({ scenario, entrant, samples: [] })),
);
if (entries.length === 0) throw new Error('no such row or client; --help lists them');

for (let round = 1; round <= Number(values.rounds); round++) {
  for (const { scenario, entrant, samples } of entries) {
    process.stderr.write(`\r\x1b[Kround ${round}: ${scenario.name} ${entrant.name}`);
    samples.push(await runTask(servers.task(scenario, entrant, options)));
  }
}
process.stderr.write('\r\x1b[K');
servers.stop();

const lines = linesOf(entries);
printTable(lines);
for (const line of servers.leftOut) console.log(`\nLeft out: ${line}`);
if (values.json !== undefined) {
  const samples = entries.map((entry) => ({
    row: entry.scenario.name,
    entrant: entry.entrant.name,
    messages: entry.entrant.messages,
    rounds: entry.samples,
  }));
  const report = { environment: environment(), at: new Date().toISOString(), options, lines, samples };
  writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}
if (values.chart !== undefined) writeFileSync(values.chart, chart(lines));
