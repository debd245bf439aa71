import { createRequire } from 'node:module';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { plant, root, runTool } from './planted.js';

const keepsTheRules = {
  'lib/index.ts': `export * from './mqtt.server.js';`,
  'lib/mqtt.server.ts': `
    import { Server } from '@nestjs/microservices';
    import 'reflect-metadata';
    import { loop } from './eventloop/index.js';
    export const server = [Server, loop];`,
  'lib/eventloop/index.ts': `export * from './event-loop.js';`,
  'lib/eventloop/event-loop.ts': `
    import { connect } from 'node:net';
    import { systemClock } from './clock.js';
    import { session } from './session/session.js';
    export const loop = [connect, systemClock, session];`,
  'lib/eventloop/clock.ts': `export interface Clock { now(): number } export const systemClock: Clock = { now: () => 0 };`,
  'lib/eventloop/connection-errors.ts': `export class MqttConnectionError {}`,
  'lib/eventloop/session/session.ts': `
    import { Buffer } from 'node:buffer';
    import type { Clock } from '../clock.js';
    import '../connection-errors.js';
    import { write } from '../codec/writer.js';
    export const session = (clock: Clock) => [clock, write, Buffer];`,
  'lib/eventloop/codec/writer.ts': `import { writeToStream } from 'mqtt-packet'; export const write = writeToStream;`,
  'lib/testing/index.ts': `
    import { parser } from 'mqtt-packet';
    import { createServer } from 'node:net';
    import { loop } from '../eventloop/index.js';
    export const broker = [parser, createServer, loop];`,
};

const breaks: [rule: string, file: string, source: string][] = [
  ['no-cycles', 'lib/routing/a.ts', `import './b.js';`],
  ['lib-imports-what-exists', 'lib/missing.ts', `import './nowhere.js';`],
  ['lib-stands-alone', 'lib/to-test.ts', `import '../test/helper.js';`],
  ['lib-stands-alone', 'lib/to-sample.ts', `import type {} from '../sample/01/main.js';`],
  ['lib-declares-its-dependencies', 'lib/aedes.ts', `export const aedes = import('aedes');`],
  ['lib-has-no-dead-files', 'lib/forgotten.ts', `export const forgotten = 1;`],
  ['peers-of-subpaths-stay-there', 'lib/traced.ts', `import type {} from '@opentelemetry/api';`],
  ['subpaths-are-for-users-only', 'lib/uses-metrics.ts', `import type {} from './prometheus/index.js';`],
  ['eventloop-knows-no-framework', 'lib/eventloop/nest.ts', `import type { Type } from '@nestjs/common';`],
  ['eventloop-knows-no-framework', 'lib/eventloop/rxjs.ts', `import 'rxjs';`],
  ['eventloop-knows-no-framework', 'lib/eventloop/deep.ts', `import 'rxjs/operators';`],
  ['eventloop-knows-no-framework', 'lib/eventloop/metadata.ts', `import 'reflect-metadata';`],
  ['eventloop-knows-nothing-beside-it', 'lib/eventloop/store/up.ts', `import type {} from '../../routing/a.js';`],
  ['core-does-no-io', 'lib/eventloop/session/net.ts', `import { connect } from 'node:net';`],
  ['core-does-no-io', 'lib/eventloop/codec/tls.ts', `import type { TLSSocket } from 'tls';`],
  ['core-does-no-io', 'lib/eventloop/admission/timers.ts', `import { setTimeout } from 'node:timers/promises';`],
  ['core-does-no-io', 'lib/eventloop/reconnect/dns.ts', `import { lookup } from 'node:dns';`],
  ['core-does-no-io', 'lib/eventloop/reconnect/random.ts', `import { randomInt } from 'node:crypto';`],
  ['core-knows-no-package-but-the-codec', 'lib/eventloop/session/mqtt.ts', `import 'mqtt';`],
  ['core-knows-no-driver', 'lib/eventloop/session/up.ts', `import type {} from '../event-loop.js';`],
  ['core-knows-no-driver', 'lib/eventloop/codec/network.ts', `import '../network/dial.js';`],
  ['core-knows-no-driver', 'lib/eventloop/reconnect/connection.ts', `import '../connection.js';`],
  ['core-knows-no-driver', 'lib/eventloop/session/barrel.ts', `import '../index.js';`],
  ['core-is-given-the-time', 'lib/eventloop/admission/clock.ts', `import { systemClock } from '../clock.js';`],
  ['testing-stands-on-the-event-loop', 'lib/testing/nest.ts', `import '@nestjs/testing';`],
  ['testing-stands-on-the-event-loop', 'lib/testing/server.ts', `import '../mqtt.server.js';`],
  ['testing-is-for-users-only', 'lib/uses-testing.ts', `import './testing/index.js';`],
];

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

describe('the layer rules', () => {
  let violations: readonly Violation[];

  beforeAll(async () => {
    using project = plant({
      ...keepsTheRules,
      ...Object.fromEntries(breaks.map(([, file, source]) => [file, source])),
      'lib/routing/b.ts': `import type {} from './a.js';`,
      'lib/eventloop/network/dial.ts': '',
      'lib/eventloop/connection.ts': '',
      'lib/prometheus/index.ts': '',
      'test/helper.ts': '',
      'sample/01/main.ts': '',
      'tsconfig.json': '{ "compilerOptions": { "module": "nodenext" } }',
    });
    const args = ['lib', '--config', join(root, '.dependency-cruiser.cjs'), '--output-type', 'json'];
    const output = await runTool('dependency-cruiser/bin/dependency-cruise.mjs', args, project.directory);
    violations = JSON.parse(output).summary.violations;
  });

  it.each(breaks)('%s: %s', (rule, file) => {
    expect(violations).toContainEqual(
      expect.objectContaining({ from: file, rule: expect.objectContaining({ name: rule }) }),
    );
  });

  it('let pass what keeps them', () => {
    expect(violations.filter(({ from }) => from in keepsTheRules)).toEqual([]);
  });

  it('are each broken once in this test', () => {
    const { forbidden } = createRequire(import.meta.url)('../../.dependency-cruiser.cjs');

    expect(new Set(breaks.map(([rule]) => rule))).toEqual(new Set(forbidden.map(({ name }: { name: string }) => name)));
  });
});
