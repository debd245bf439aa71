/**
 * Side by side: nestjs-rumqtt, MQTT.js, Nest's built-in transport, libmosquitto and the raw socket.
 * `npm run bench -- --help` lists the options.
 *
 * Rounds are interleaved, so a busy minute of the machine hits every client; each measurement has a process of its own.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chart } from './chart.js';
import { markdown } from './markdown.js';
import { environment, linesOf, printTable, type Entry, type Line } from './report.js';
import { runTask, Servers } from './run.js';
import { isNamed, scenarios } from './scenarios.js';
import { optionsOf, rowOptions, rowOptionsHelp, whole } from './row-options.js';

const { values } = parseArgs({
  options: {
    ...rowOptions,
    only: { type: 'string', multiple: true, default: [] },
    client: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
    chart: { type: 'string' },
    markdown: { type: 'string' },
    from: { type: 'string' },
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
  --markdown file      writes the table of docs/performance.md
  --from file          measures nothing, but prints, draws and writes what --json wrote

Rows: ${all.map(({ name }) => name).join(', ')}`);
  process.exit();
}

const lines = values.from === undefined ? await measure() : readLines(values.from);
if (values.chart !== undefined) writeFileSync(values.chart, chart(lines));
if (values.markdown !== undefined) writeFileSync(values.markdown, markdown(lines));

async function measure(): Promise<Line[]> {
  const chosen = all.filter(({ name }) => isNamed(name, values.only));
  const servers = await Servers.start(chosen);
  const entries: Entry[] = chosen.flatMap((scenario) =>
    scenario.entrants
      .filter(({ client }) => values.client.length === 0 || values.client.includes(client))
      .filter((entrant) => servers.has(scenario, entrant))
      .map((entrant) => ({ scenario, entrant, samples: [] })),
  );
  if (entries.length === 0) throw new Error('no such row or client; --help lists them');
  const rounds = whole('rounds', values.rounds);
  const failures: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { scenario, entrant, samples } of entries) {
      process.stderr.write(`\r\x1b[Kround ${round}: ${scenario.name} ${entrant.name}`);
      try {
        samples.push(await runTask(servers.task(scenario, entrant, options)));
      } catch (error) {
        failures.push(`${scenario.name} ${entrant.name}, round ${round}: ${(error as Error).message}`);
      }
    }
  }
  process.stderr.write('\r\x1b[K');
  servers.stop();
  const measured = linesOf(entries.filter(({ samples }) => samples.length > 0));
  printTable(measured, environment());
  for (const line of servers.leftOut) console.log(`\nLeft out: ${line}`);
  for (const failure of failures) console.log(`\nFailed: ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
  if (values.json !== undefined) writeJson(values.json, entries, measured);
  return measured;
}

function writeJson(file: string, entries: readonly Entry[], measured: readonly Line[]): void {
  const samples = entries.map(({ scenario, entrant, samples: rounds }) => ({
    row: scenario.name,
    entrant: entrant.name,
    messages: options.messages ?? entrant.messages,
    rounds,
  }));
  const report = { environment: environment(), at: new Date().toISOString(), options, lines: measured, samples };
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

function readLines(file: string): Line[] {
  const report = JSON.parse(readFileSync(file, 'utf8')) as { lines: Line[]; environment: string };
  printTable(report.lines, report.environment);
  return report.lines;
}
