import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import root from '../../vitest.config.js';

/** `npm run test:interop`: the same behaviours on every broker. Its result counts in CI beside that of `npm test`. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  resolve: { ...root.resolve },
  test: {
    include: ['test/interop/*.interop.ts'],
    // RabbitMQ takes 8 s to start on an idle machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    retry: 0,
    allowOnly: !process.env['CI'],
    reporters: ['default', ['json', { outputFile: '.vitest/interop.json' }]],
  },
});
