import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root, runTool } from './planted.js';

it('every test file belongs to a project of vitest.config.ts, or it would never run', async () => {
  const listed: { file: string }[] = JSON.parse(
    await runTool('vitest/vitest.mjs', ['list', '--filesOnly', '--json'], root),
  );
  const collected = new Set(listed.map(({ file }) => file));
  const written = ['test', 'sample'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /[.](test|spec)[.]\w+$/.test(path) && !/node_modules|(^|\/)dist\//.test(path))
      .map((path) => join(root, folder, path)),
  );

  expect(written.filter((file) => !collected.has(file))).toEqual([]);
});
