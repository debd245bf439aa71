import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const fromRoot = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Tests use the package's public names, and run on its sources. */
const packageAliases = [
  { find: /^nestjs-rumqtt$/, replacement: fromRoot('lib/index.ts') },
  {
    find: /^nestjs-rumqtt\/(asyncapi|eventloop|opentelemetry|prometheus|terminus|testing)$/,
    replacement: fromRoot('lib/$1/index.ts'),
  },
];

/**
 * Every @nestjs package, so that one that Nest 11 lacks is an error and never a silent mix of two majors. One has no majors of
 * its own: it is loaded from the root, and is given Nest 11 as the tests are.
 */
const nest11Alias = { find: /^@nestjs\/(?!observe$)/, replacement: fromRoot('test/nest-11/node_modules/@nestjs/') };

/** On both majors of Nest: what users are shown as an example too. */
const nestTests = ['test/e2e/nest/**/*.test.ts', 'sample/*/src/**/*.test.ts'];
const nest11Guard = 'test/architecture/nest-11.test.ts';

export default defineConfig({
  resolve: { alias: packageAliases },
  test: {
    // Generous, because a shared machine can be slow: a test that needs more is stuck.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    retry: 0,
    // `.only` fails in CI; tools/check-test-report.mjs refuses what was skipped.
    allowOnly: !process.env['CI'],
    restoreMocks: true,
    reporters: ['default', ['json', { outputFile: '.vitest/report.json' }]],
    // test/architecture/test-files.test.ts refuses a test file that belongs to no project.
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/simulation/**/*.test.ts', 'test/architecture/**/*.test.ts'],
          exclude: [nest11Guard],
        },
      },
      {
        extends: true,
        test: { name: 'eventloop', include: ['test/e2e/eventloop/**/*.test.ts'] },
      },
      // Counts work, not time, in processes of its own.
      { extends: true, test: { name: 'work', include: ['test/work/**/*.test.ts'] } },
      { extends: true, test: { name: 'nest-12', include: nestTests } },
      {
        extends: true,
        // The same files as `nest-12`. Nest 11 is CommonJS, in a workspace of its own beside the root's Nest 12.
        resolve: { alias: [nest11Alias] },
        test: {
          name: 'nest-11',
          include: [...nestTests, nest11Guard],
          server: { deps: { inline: ['@nestjs/observe'] } },
        },
      },
    ],
  },
});
