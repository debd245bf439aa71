// Compiles every sample as a user's project: it finds this package by name, in dist.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const projects = readdirSync('sample')
  .map((name) => `sample/${name}/tsconfig.json`)
  .filter((path) => existsSync(path));

// One process for all of them, which parses the types of Nest once.
const tsc = ['node_modules/typescript/bin/tsc', '--build', '--force', ...projects];
if (projects.length > 0) execFileSync(process.execPath, tsc, { stdio: 'inherit' });
