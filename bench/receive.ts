import type { Connect } from './clients/client.js';
import { Meter } from './meter.js';
import { eventController } from './nest/controllers.js';
import type { NestModule } from './nest/nest.js';
import type { Sample, TaskOf } from './tasks.js';
import { ALL_TOPICS, filterOf, floodFilter } from './wire.js';

const TOPICS = 100;
/** Filters in one SUBSCRIBE, so that it stays below common packet limits. */
const FILTERS_PER_SUBSCRIBE = 1_000;

export async function measureReceive(connect: Connect, task: TaskOf<'receive'>): Promise<Sample> {
  const { qos, payload, subscriptions = 1 } = task;
  const client = await connect(task);
  const meter = new Meter(task);
  client.onMessage(meter.tick);
  const others = Array.from({ length: subscriptions - 1 }, (_, index) => filterOf(index));
  for (let first = 0; first < others.length; first += FILTERS_PER_SUBSCRIBE)
    await client.subscribe(others.slice(first, first + FILTERS_PER_SUBSCRIBE), qos);
  const messages = task.warmUp + task.messages;
  await client.subscribe([floodFilter({ messages, topics: TOPICS, firstTopic: 0, payload })], qos);
  const sample = await meter.sample;
  await client.close();
  return sample;
}

export async function measureEvents({ startServer }: NestModule, task: TaskOf<'events'>): Promise<Sample> {
  const { qos, handlers, topics, settlement } = task;
  const meter = new Meter(task);
  const filters = Array.from({ length: handlers }, (_, index) => filterOf(index));
  const controller = eventController(filters, meter.tick, settlement !== undefined);
  const server = await startServer(task, controller);
  const messages = task.warmUp + task.messages;
  await server.subscribe(floodFilter({ messages, topics, firstTopic: handlers - topics, payload: 'json' }), qos);
  const sample = await meter.sample;
  await server.close();
  return sample;
}

export async function measureSettlement({ startServer }: NestModule, task: TaskOf<'settlement'>): Promise<Sample> {
  const meter = new Meter(task);
  const server = await startServer({ ...task, qos: 1 }, eventController([ALL_TOPICS], meter.tick, true));
  const messages = task.warmUp + task.messages;
  await server.subscribe(floodFilter({ messages, topics: task.topics, firstTopic: 0, payload: 'json' }), 1);
  const sample = await meter.sample;
  await server.close();
  return sample;
}
