import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { transpileEventLoop } from '../fixtures/transpile.js';
import { BUDGETS } from './budgets.js';
import { count, type Task, type Work } from './count.js';

let directory: string;
let eventLoop: string;
beforeAll(() => {
  directory = transpileEventLoop();
  eventLoop = join(directory, 'index.js');
});
afterAll(() => rmSync(directory, { recursive: true }));

const MESSAGES = 1_000;
const ACKNOWLEDGEMENT_BYTES = 4;
const TOPIC = 'plant/0001/line/3/state';

/** What must leave, to the byte. */
function bytesOf({ direction, qos, protocolVersion }: Task): number {
  const identifier = qos > 0 ? 2 : 0;
  const properties = protocolVersion === 5 ? 1 : 0;
  const publish = 1 + 2 + 2 + TOPIC.length + identifier + properties + 256;
  return direction === 'out'
    ? MESSAGES * (publish + (qos === 2 ? ACKNOWLEDGEMENT_BYTES : 0))
    : MESSAGES * qos * ACKNOWLEDGEMENT_BYTES;
}

const tasks = (['out', 'in'] as const).flatMap((direction) =>
  ([0, 1, 2] as const).flatMap((qos) =>
    ([4, 5] as const).map((protocolVersion): Task => ({ direction, qos, protocolVersion })),
  ),
);

describe('1 000 messages cost no more work than their budget, every time', () => {
  test.each(tasks)('$direction, QoS $qos, protocol version $protocolVersion', async (task) => {
    const budgets = Object.entries(BUDGETS[task.direction][task.qos]);
    for (const work of await count(eventLoop, task)) {
      expect(work.bytes).toBe(bytesOf(task));
      // By name, so that a failure shows all of them.
      const excess = budgets.filter(([counter, budget]) => work[counter as keyof Work] > budget);
      expect(excess, `exceeded by ${JSON.stringify(work)}`).toEqual([]);
    }
  });
});

describe('the counters see what is done for each message', () => {
  const least: readonly [keyof Work, number][] = [
    ['writes', MESSAGES],
    ['promises', MESSAGES],
    ['timers', MESSAGES],
    ['immediates', MESSAGES],
    ['ticks', MESSAGES],
    ['allocatedBytes', 800 * MESSAGES],
    ['bufferBytes', 1_000 * MESSAGES],
  ];
  const plain: Task = { direction: 'in', qos: 1, protocolVersion: 4 };
  let before: Work;
  beforeAll(async () => {
    [before] = (await count(eventLoop, plain)) as [Work];
  });
  test.each(least)('%s', async (waste, more) => {
    const [after] = (await count(eventLoop, { ...plain, waste })) as [Work];
    expect(after[waste] - before[waste]).toBeGreaterThanOrEqual(more * 0.95);
  });
});
