import { createHook } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchClient, Connect } from './clients/client.js';
import { activeTimers, heapBytes } from './meter.js';
import type { Sample, TaskOf } from './tasks.js';

const AT_ONCE = 50;
const IDLE_MS = 3_000;
/** For what follows upon a connection. */
const SETTLE_MS = 200;

/** What a connection costs that does nothing. */
export async function measureIdle(connect: Connect, task: TaskOf<'idle'>): Promise<Sample> {
  // Code and caches are not a connection's.
  await (await connect(task)).close();
  const heapBefore = heapBytes();
  const timersBefore = activeTimers();
  const clients: BenchClient[] = [];
  while (clients.length < task.connections)
    clients.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => connect(task)))));
  await sleep(SETTLE_MS);
  const heapKilobytes = (heapBytes() - heapBefore) / 1e3 / clients.length;
  const timers = (activeTimers() - timersBefore) / clients.length;

  let timersStarted = -1; // the sleep's own
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'Timeout') timersStarted++;
    },
  }).enable();
  const cpuBefore = process.cpuUsage();
  await sleep(IDLE_MS);
  const { user, system } = process.cpuUsage(cpuBefore);
  hook.disable();
  await Promise.all(clients.map((client) => client.close()));
  return { heapKilobytes, timers, timersStarted, idleCpuMicros: (user + system) / clients.length };
}
