import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertInstalled, brokers, type Broker, type RunningBroker } from './brokers.js';
import type { Feature } from './features/feature.js';
import { features, type FeatureName } from './features.js';
import { Visit } from './visit.js';

function suite(broker: Broker): void {
  let running: RunningBroker | undefined;
  beforeAll(async () => {
    running = await broker.start();
  });
  afterAll(async () => running?.[Symbol.asyncDispose]());

  test(`is version ${broker.version}, which docs/brokers.md describes`, () => {
    expect(`${running!.version}.`.slice(0, broker.version.length + 1)).toBe(`${broker.version}.`);
  });

  for (const [name, { row, cells, assertStated }] of Object.entries<Feature>(features)) {
    const stated: string = broker.stated[name as FeatureName];
    test(`${row}: ${cells[stated]}`, () => assertStated(new Visit(broker, running!, name), stated));
  }
}

/* oxlint-disable vitest/no-conditional-tests -- says so where there is nothing to test */

for (const broker of brokers) {
  assertInstalled(broker);
  describe(`${broker.name} ${broker.version}`, () => {
    if (broker.installed) suite(broker);
    else test(`nothing to check, it is not installed: ${broker.install}`, () => expect(broker.installed).toBe(false));
  });
}
