import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mutations } from './mutations/index.js';

const root = new URL('../../', import.meta.url);

test('every planted bug still fits the source: npm run simulate:mutations plants it', () => {
  const outdated = mutations.flatMap(({ name, edits }) =>
    edits.flatMap(({ file, find }) =>
      readFileSync(new URL(file, root), 'utf8').split(find).length === 2 ? [] : `${name}: ${file}`,
    ),
  );
  expect(outdated).toEqual([]);
});
