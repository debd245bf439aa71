/**
 * Where the instructions of a message go, function by function, counted by valgrind: the same on a busy machine as on a quiet one.
 * `npm run bench:instructions -- --help` tells how.
 *
 * Two runs of different length are subtracted, so that what starting and compiling take cancels out. What the kernel does is not in it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { digits, environment, printColumns } from './report.js';
import { optionsOf, rowOptions, whole } from './row-options.js';
import { runTask, Servers, type Launcher } from './run.js';
import { scenarios } from './scenarios.js';
import type { Task } from './tasks.js';

const LONGEST_NAME = 110;

const { messages: messagesOption, 'protocol-version': versionOption, 'payload-bytes': payloadOption } = rowOptions;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { ...messagesOption, default: '100000' },
    'protocol-version': versionOption,
    'payload-bytes': payloadOption,
    client: { type: 'string', default: 'ours' },
    top: { type: 'string', default: '40' },
    help: { type: 'boolean', default: false },
  },
});
const [row] = positionals;

if (values.help || row === undefined) {
  console.log(`npm run bench:instructions -- <row> [options]
  row                  as in npm run bench; minutes for a row of publish or receive. Needs valgrind
  --client name        ours, mqttjs or builtin (ours)
  --messages n         the difference of the two runs (100000)
  --payload-bytes n    of the publish and receive rows (256)
  --protocol-version n 4 (MQTT 3.1.1) or 5 (4)
  --top n              so many functions (40)`);
  process.exit(values.help ? 0 : 2);
}

const options = optionsOf({ ...values, long: false });
const messages = options.messages!;
const scenario = scenarios(options).find(({ name }) => name === row);
const entrant = scenario?.entrants.find(({ client }) => client === values.client && client !== 'libmosquitto');
if (scenario === undefined || entrant === undefined)
  throw new Error('no such row or client; npm run bench -- --help lists them');
assertValgrind();
const servers = await Servers.start([{ ...scenario, entrants: [entrant] }]);
if (!servers.has(scenario, entrant)) throw new Error(servers.leftOut.join('\n'));
const shorter = await count(messages);
const longer = await count(2 * messages);
servers.stop();

const each = [...longer]
  .map(([name, instructions]) => ({ name, instructions: (instructions - (shorter.get(name) ?? 0)) / messages }))
  .toSorted((a, b) => b.instructions - a.instructions);
console.log(`\n${row}, ${entrant.name}: instructions of a message. ${environment()}\n`);
const lines = [
  ['instructions', 'in'],
  ...groupsOf(each).map(([name, sum]) => [digits(sum), name]),
  ['', ''],
  ...each
    .slice(0, whole('top', values.top))
    .map(({ name, instructions }) => [digits(instructions), name.slice(0, LONGEST_NAME)]),
];
printColumns(lines, [0]);

/** Instructions by function, of a run with so many messages. */
async function count(measured: number): Promise<Map<string, number>> {
  const directory = mkdtempSync(join(tmpdir(), 'nestjs-rumqtt-instructions-'));
  const launcher: Launcher = {
    execPath: 'valgrind',
    cwd: directory, // V8 leaves a log there
    execArgv: [
      '--quiet',
      '--tool=callgrind',
      `--callgrind-out-file=${directory}/counts.%p`,
      '--smc-check=all', // V8 writes over its own code
      process.execPath,
      '--single-threaded',
      '--perf-basic-prof', // tells the names of what it compiles
    ],
  };
  const task: Task = { ...servers.task(scenario!, entrant!, { ...options, messages: measured }), warmUp: messages };
  try {
    await runTask(task, { launcher });
    const counts = readdirSync(directory).find((file) => file.startsWith('counts.'))!;
    return read(join(directory, counts), `/tmp/perf-${counts.slice('counts.'.length)}.map`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function assertValgrind(): void {
  try {
    execFileSync('valgrind', ['--version'], { stdio: 'ignore' });
  } catch (cause) {
    throw new Error('valgrind does not run (apt install valgrind)', { cause });
  }
}

function read(counts: string, perfMap: string): Map<string, number> {
  const nameAt = compiledCode(readFileSync(perfMap, 'utf8'));
  rmSync(perfMap);
  const table = execFileSync('callgrind_annotate', ['--threshold=100', counts], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  const sums = new Map<string, number>();
  for (const line of table.split('\n')) {
    // 1,234,567 (12.3%)  file:function [object]
    const [, number, place] = /^\s*([\d,]+) \(\s*[\d.]+%\)\s+(.+?)(?: \[.*\])?$/.exec(line) ?? [];
    if (number === undefined || place === undefined || place === 'PROGRAM TOTALS') continue;
    const name = place.replace(/^\?\?\?:/, '').replace(/'\d+$/, '');
    const address = /^0x([\da-f]+)$/.exec(name)?.[1];
    const readable = (address && nameAt(Number.parseInt(address, 16))) ?? name;
    sums.set(readable, (sums.get(readable) ?? 0) + Number(number.replaceAll(',', '')));
  }
  return sums;
}

/** The file that V8 writes for perf: address, size and name of each function; the last one at an address is the one that counts. */
function compiledCode(perfMap: string): (address: number) => string | undefined {
  const functions = perfMap
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [start = '', size = '', ...name] = line.split(' ');
      return { start: Number.parseInt(start, 16), size: Number.parseInt(size, 16), name: name.join(' ') };
    })
    .toSorted((a, b) => a.start - b.start);
  return (address) => {
    const found = functions.findLast(({ start }) => start <= address);
    if (found === undefined || address >= found.start + found.size) return undefined;
    return found.name.replace(/file:\/\/\S*\/(?=dist\/|node_modules\/)/, '');
  };
}

function groupsOf(functions: readonly { readonly name: string; readonly instructions: number }[]): [string, number][] {
  const groups: [string, RegExp][] = [
    ['JavaScript, and what V8 has built in', /^(JS:|Builtins_|RegExp:)/],
    ['garbage collection', /(Scaveng|Mark|Sweep|Worklist|Evacuat|SemiSpace|NewSpace|IteratePointers|MigratedSlot)/],
    ['everything, compiling that was still going on included', /./],
  ];
  return groups.map(([name, of]) => [
    name,
    functions.filter((one) => of.test(one.name)).reduce((sum, { instructions }) => sum + instructions, 0),
  ]);
}
