import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MqttClient } from 'nestjs-rumqtt';
import { expect, it, onTestFinished } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';

const batch = 20_000;
const atOnce = 1_000;

it('tens of thousands of open requests have one timer, and take less than 1 KB each', async () => {
  const broker = await AedesBroker.start();
  const client = new MqttClient({ url: broker.url, protocolVersion: 4 });
  onTestFinished(async () => {
    await client.close();
    await broker[Symbol.asyncDispose]();
  });
  const topics = Array.from({ length: 10 }, (_, index) => `plants/${index}`);
  const failures: unknown[] = [];
  const failed = (error: unknown): void => void failures.push(error);
  const open = async (): Promise<void> => {
    for (let index = 1; index <= batch; index++) {
      client.request(topics[index % topics.length]!, 1, { timeoutMs: 3_600_000 }).catch(failed);
      // The broker acknowledges in order: what was sent before, and this.
      if (index % atOnce === 0) await client.publish('all/before', '', { qos: 1 });
    }
  };
  await client.publish('connected', '', { qos: 1 });
  const timers = activeTimers();
  // The first ones fill caches, and bring compiled code.
  await open();
  const before = heapAfterCollection();

  await open();

  expect((heapAfterCollection() - before) / batch).toBeLessThan(1_024);
  // This process has a few more, that come and go.
  expect(activeTimers() - timers).toBeLessThan(10);
  expect(client.stats().pendingRequests).toBe(2 * batch);
  expect(failures).toEqual([]);
});

function activeTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
