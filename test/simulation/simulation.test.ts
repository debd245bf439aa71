import { expect, test } from 'vitest';
import { generateProgram } from './generate.js';
import { seedsFrom } from './pool.js';
import { simulate } from './simulate.js';

const SEEDS = 300;
const SEEDS_A_TEST = 50;

test.each(Array.from({ length: SEEDS / SEEDS_A_TEST }, (_, index) => 1 + index * SEEDS_A_TEST))(
  'every invariant holds at every step of random programs, whatever network and broker do (50 seeds from %i)',
  async (from) => {
    const failures: string[] = [];
    for (const seed of seedsFrom(from, SEEDS_A_TEST)) {
      const { failure } = await simulate(generateProgram(seed));
      if (failure) failures.push(`npm run simulate -- --seed ${seed}    # ${failure.invariant}: ${failure.detail}`);
    }
    expect(failures).toEqual([]);
  },
);

test('the same seed takes the same course, to the last packet', async () => {
  const courses = [];
  for (let run = 0; run < 2; run++) courses.push((await simulate(generateProgram('19'), true)).log);
  expect(courses[0]!.length).toBeGreaterThan(50);
  expect(courses[1]).toEqual(courses[0]);
});
