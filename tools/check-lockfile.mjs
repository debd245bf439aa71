// The lockfile holds no download addresses, so that it installs from whatever registry the machine is set to.
// Write it with `npm install --omit-lockfile-registry-resolved`.
import { readFileSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync(process.argv[2] ?? 'package-lock.json', 'utf8'));
const addressed = Object.entries(packages).filter(([, { resolved, link }]) => resolved !== undefined && !link);

for (const [path, { resolved }] of addressed) console.error(`${path} is resolved to ${resolved}`);
process.exitCode = addressed.length === 0 ? 0 : 1;
