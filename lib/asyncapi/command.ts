#!/usr/bin/env node
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { describeError } from '../mqtt.errors.js';
import { AsyncApiCommandError, serversOf } from './application.js';
import { toAsyncApi, type AsyncApiInfo } from './to-async-api.js';

const usage = `nestjs-rumqtt-asyncapi <compiled module>[#export] [options]

Writes an AsyncAPI 3 document of the MQTT handlers of a Nest application. The application is created, but not
initialised: nothing connects to the broker. Without #export the module is AppModule, or the default export.

  --out <file>       writes there instead of to the standard output
  --title <text>     default: the name in ./package.json
  --version <text>   default: the version in ./package.json
  --help             writes this

Exit codes: 0 written, 1 it could not be done, 2 wrong arguments.

example: nestjs-rumqtt-asyncapi dist/app.module.js --out asyncapi.json
`;

class UsageError extends Error {}

async function main(): Promise<void> {
  const { help, target, out, title, version } = readArguments();
  if (help) return write(usage);
  const info = await infoOf(title, version);
  const document = `${JSON.stringify(toAsyncApi(await serversOf(target), info), null, 2)}\n`;
  if (out === undefined) return write(document);
  await writeFile(out, document).catch((error: unknown) => {
    throw new AsyncApiCommandError(`--out ${out}: could not be written: ${describeError(error)}`);
  });
}

function readArguments() {
  const text = { type: 'string' } as const;
  const options = { out: text, title: text, version: text, help: { type: 'boolean', short: 'h' } } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const { help = false, ...given } = values;
    if (!help && positionals.length !== 1) throw new Error('exactly one module is needed');
    return { ...given, help, target: positionals[0] ?? '' };
  } catch (error) {
    throw new UsageError(describeError(error));
  }
}

async function infoOf(title: string | undefined, version: string | undefined): Promise<AsyncApiInfo> {
  const text = await readFile('package.json', 'utf8').catch(() => '{}');
  const manifest = parseObject(text);
  const own = (key: string): string | undefined => {
    const value = manifest[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return { title: title ?? own('name') ?? 'MQTT handlers', version: version ?? own('version') ?? '0.0.0' };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    throw new AsyncApiCommandError('./package.json is not valid JSON');
  }
}

/** Resolves when a pipe has taken it all: what comes next is the end of the process. */
function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

const code = await main().then(
  () => 0,
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    process.stderr.write(`nestjs-rumqtt-asyncapi: ${describeError(error)}\n${isUsage ? `\n${usage}` : ''}`);
    return isUsage ? 2 : 1;
  },
);
// The application may have opened what keeps a process alive.
process.exit(code);
