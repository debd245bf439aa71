// npm run simulate:mutations: plants each bug of mutations/ in a compiled copy and shows that the simulation finds it.
//   --only TEXT   those whose name contains it      --seeds N   as many seeds as a bug may survive
import { cpSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { compile, compileFile } from './compile.mjs';

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seeds: { type: 'string', default: '1500' } },
});
const target = compile();
const load = (name) => import(pathToFileURL(join(target, `test/simulation/${name}.js`)));
const { mutations } = await load('mutations/index');
const { runSeeds, seedsFrom } = await load('pool');

const chosen = mutations.filter(({ name }) => name.includes(values.only));
const waiting = chosen.entries();
const results = [];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (const [index, mutation] of waiting) {
      const result = { name: mutation.name, ...(await hunt(mutation, index)) };
      results.push(result);
      console.log(
        `${result.caughtBy === undefined ? 'SURVIVES' : 'caught  '}  ${result.name.padEnd(62)} ${result.caughtBy ?? result.why}`,
      );
    }
  }),
);
const survivors = results.filter(({ caughtBy }) => caughtBy === undefined).length;
console.log(`\n${results.length} bugs planted, ${results.length - survivors} caught, ${survivors} survive`);
process.exitCode = survivors === 0 && results.length > 0 ? 0 : 1;

async function hunt({ edits }, index) {
  const mutant = `${target}/mutants/${index}`;
  cpSync(join(target, 'lib'), join(mutant, 'lib'), { recursive: true });
  cpSync(join(target, 'test'), join(mutant, 'test'), { recursive: true });
  try {
    for (const file of new Set(edits.map((edit) => edit.file))) {
      compileFile(mutant, file, (source) => edits.filter((edit) => edit.file === file).reduce(plant, source));
    }
  } catch (error) {
    return { why: error.message };
  }
  let tried = 0;
  let caughtBy;
  const worker = pathToFileURL(join(mutant, 'test/simulation/worker.js'));
  await runSeeds(worker, 1, seedsFrom(1, Number(values.seeds)), ({ seed, failure }) => {
    tried++;
    if (failure !== undefined) caughtBy = `seed ${seed}: ${failure.invariant}`;
    return failure === undefined;
  });
  return { caughtBy, why: `${tried} seeds hold` };
}

/** A text that no longer matches is no mutation any more. */
function plant(source, { file, find, replace }) {
  if (source.split(find).length !== 2) throw new Error(`${file} does not hold exactly once: ${JSON.stringify(find)}`);
  return source.replace(find, () => replace);
}
