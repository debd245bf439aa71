import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FuzzInput } from './inputs.js';

/** Inputs that showed something once. The tests run all of them, always. npm scripts and Vitest start in the package's root. */
const folder = 'test/fuzz/regressions';

export interface Regression {
  readonly file: string;
  /** What it showed. */
  readonly title: string;
  readonly input: FuzzInput;
}

export function regressions(): Regression[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.hex'))
    .map((file) => readRegression(join(folder, file)));
}

/** A line saying what it showed, `version 5 profile 0`, and the bytes in hexadecimal. */
export function readRegression(file: string): Regression {
  const lines = readFileSync(file, 'utf8').split('\n');
  const title =
    lines
      .find((line) => line.startsWith('#'))
      ?.slice(1)
      .trim() ?? file;
  const [header = '', ...hex] = lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const match = /^version ([45]) profile (\d)$/.exec(header.trim());
  if (match === null) throw new Error(`${file}: "version 5 profile 0" expected, not "${header}"`);
  const bytes = Buffer.from(hex.join('').replaceAll(/\s/g, ''), 'hex');
  return { file, title, input: { version: match[1] === '5' ? 5 : 4, profile: Number(match[2]), bytes } };
}

export function storeRegression(title: string, { version, profile, bytes }: FuzzInput): string {
  const hash = createHash('sha256').update(`${version}${profile}`).update(bytes).digest('hex').slice(0, 8);
  const name = title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 60);
  const file = join(folder, `${name}-${hash}.hex`);
  const hex = bytes.toString('hex').replaceAll(/(.{100})/g, '$1\n');
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `# ${title}\nversion ${version} profile ${profile}\n${hex}\n`);
  return file;
}
