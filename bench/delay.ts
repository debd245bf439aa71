import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Connect } from './clients/client.js';
import { publishMany } from './publish.js';
import type { Sample, TaskOf } from './tasks.js';
import { floodFilter, payloadOf, WINDOW } from './wire.js';

/** More than can come while the publishes go out. */
const FLOOD = 1_000_000_000;
const NANOS_PER_MS = 1e6;

/** How late a timer is while messages come in and QoS 1 goes out as fast as both can. */
export async function measureDelay(connect: Connect, task: TaskOf<'delay'>): Promise<Sample> {
  const client = await connect(task);
  let received = 0;
  client.onMessage(() => void received++);
  const flood = floodFilter({ messages: FLOOD, topics: 100, firstTopic: 0, payload: task.payload });
  await client.subscribe([flood], task.qos);
  const payload = payloadOf(task.payload);
  await publishMany(client, payload, 1, task.warmUp, WINDOW);
  const receivedBefore = received;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await publishMany(client, payload, 1, task.messages, WINDOW);
  delay.disable();
  const incoming = (received - receivedBefore) / task.messages;
  await client.close();
  return {
    p50Ms: delay.percentile(50) / NANOS_PER_MS,
    p99Ms: delay.percentile(99) / NANOS_PER_MS,
    maxMs: delay.max / NANOS_PER_MS,
    incoming,
  };
}
