/**
 * Two commits of ours, side by side: the working tree against another one, built in a worktree of its own.
 * `npm run bench:compare -- --help` lists the options.
 *
 * Both are driven by the benchmark programs of the working tree.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { compareRounds, describeComparison, type Comparison } from './comparison.js';
import { digits, environment, printColumns } from './report.js';
import { optionsOf, rowOptions, rowOptionsHelp, whole } from './row-options.js';
import { runTask, Servers } from './run.js';
import { isNamed, scenarios } from './scenarios.js';
import type { Sample } from './tasks.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...rowOptions,
    rounds: { type: 'string', default: '7' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const [ref, ...rows] = positionals;
const options = optionsOf(values);
const rounds = whole('rounds', values.rounds);

if (values.help || ref === undefined) {
  console.log(`npm run bench:compare <commit> -- [rows] [options]
  rows                 as in npm run bench; default: publish, receive and events
  --rounds n           measurements of each commit and row (7)
${rowOptionsHelp}
  --json file          writes every number`);
  process.exit(values.help ? 0 : 2);
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const commit = git('rev-parse', '--short', `${ref}^{commit}`).trim();
const directory = mkdtempSync(join(tmpdir(), 'nestjs-rumqtt-compare-'));
const worktree = join(directory, 'tree');
process.once('exit', removeWorktree);
const theirs = buildOther();

const chosen = scenarios(options).filter(({ name }) =>
  isNamed(name, rows.length > 0 ? rows : ['publish', 'receive', 'events']),
);
const entries = chosen.flatMap((scenario) =>
  scenario.entrants
    .filter(({ client }) => client === 'ours')
    .map((entrant) => ({ scenario, entrant, mine: [] as Sample[], theirs: [] as Sample[] })),
);
if (entries.length === 0) throw new Error('no such row; npm run bench -- --help lists them');
const servers = await Servers.start(chosen.map((scenario) => ({ ...scenario, entrants: [] })));

for (let round = 1; round <= rounds; round++) {
  for (const entry of entries) {
    if (!servers.has(entry.scenario, entry.entrant)) continue;
    process.stderr.write(`\r\x1b[Kround ${round}: ${entry.scenario.name} ${entry.entrant.title}`);
    const task = servers.task(entry.scenario, entry.entrant, options);
    const measureMine = async () => entry.mine.push(await runTask(task));
    const measureTheirs = async () => entry.theirs.push(await runTask(task, { programs: theirs }));
    // Each goes first in turn, lest the order count.
    for (const measure of round % 2 === 0 ? [measureMine, measureTheirs] : [measureTheirs, measureMine])
      await measure();
  }
}
process.stderr.write('\r\x1b[K');
servers.stop();

const comparisons = entries.flatMap(({ scenario, entrant, mine, theirs: others }) =>
  mine.length === 0
    ? []
    : scenario.metrics.map((metric): Comparison => {
        const figures = (samples: readonly Sample[]): number[] => samples.map((sample) => sample[metric.key]!);
        const title = entrant.name === 'ours' ? scenario.title : `${scenario.title}: ${entrant.title}`;
        return compareRounds(title, metric.unit, figures(mine), figures(others));
      }),
);
console.log(`\nThe working tree against ${commit}, ${rounds} rounds. ${environment()}\n`);
printColumns(
  [
    ['', '', commit, 'working tree', 'ratio', 'min – max', ''],
    ...comparisons.map((comparison) => [
      comparison.title,
      comparison.unit,
      digits(comparison.theirs),
      digits(comparison.mine),
      Number.isNaN(comparison.ratio) ? '' : comparison.ratio.toFixed(3),
      Number.isNaN(comparison.ratio) ? '' : `${comparison.min.toFixed(2)} – ${comparison.max.toFixed(2)}`,
      describeComparison(comparison),
    ]),
  ],
  [2, 3, 4, 5],
);
for (const line of servers.leftOut) console.log(`\nLeft out: ${line}`);
if (values.json !== undefined) {
  const report = { environment: environment(), at: new Date().toISOString(), commit, options, comparisons };
  writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

/** @returns where the benchmark programs lie that load the other commit */
function buildOther(): URL {
  git('worktree', 'add', '--detach', worktree, commit);
  symlinkSync(join(root, 'node_modules'), join(worktree, 'node_modules'));
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: worktree, stdio: 'inherit' });
  // There `nestjs-rumqtt` is the other commit's build: a package's own name leads to itself.
  const programs = join(worktree, 'bench/dist');
  cpSync(fileURLToPath(new URL('.', import.meta.url)), programs, { recursive: true });
  return pathToFileURL(`${programs}/`);
}

function removeWorktree(): void {
  rmSync(directory, { recursive: true, force: true });
  git('worktree', 'prune');
}

function git(...command: readonly string[]): string {
  return execFileSync('git', command, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
