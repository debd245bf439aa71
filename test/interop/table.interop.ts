import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { expect, test } from 'vitest';
import { brokers } from './brokers.js';
import { features, type FeatureName } from './features.js';

const page = fileURLToPath(new URL('../../docs/brokers.md', import.meta.url));
const marked = /(?<=<!-- begin: [^\n]*-->\n)[^]*(?=<!-- end -->)/;

function table(): string {
  const head = ['', ...brokers.map(({ name, version }) => `${name} ${version}`)];
  const rows = Object.entries(features).map(([name, { row, cells }]) => [
    row,
    ...brokers.map(({ stated }) => (cells as Record<string, string>)[stated[name as FeatureName]]),
  ]);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

test('docs/brokers.md says what this suite checks: write it anew with npm run test:interop -- table -u', async () => {
  const written = readFileSync(page, 'utf8');
  expect(written).toMatch(marked);
  const config = await resolveConfig(page);
  const expected = await format(
    written.replace(marked, () => `\n${table()}\n\n`),
    { ...config, parser: 'markdown' },
  );
  await expect(expected).toMatchFileSnapshot(page);
});
