import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root, runTool } from './planted.js';

it('every test file belongs to a project of vitest.config.ts or is one of Jest, or it would never run', async () => {
  const ofVitest: { file: string }[] = JSON.parse(
    await runTool('vitest/vitest.mjs', ['list', '--filesOnly', '--json'], root),
  );
  const ofJest: string[] = JSON.parse(
    await runTool('jest/bin/jest.js', ['--config', 'test/jest/jest.config.mjs', '--listTests', '--json'], root),
  );
  const collected = new Set([...ofVitest.map(({ file }) => file), ...ofJest]);
  const written = ['test', 'sample'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /[.](test|spec)[.]\w+$/.test(path) && !/node_modules|(^|\/)dist\//.test(path))
      .map((path) => join(root, folder, path)),
  );

  expect(written.filter((file) => !collected.has(file))).toEqual([]);
});
