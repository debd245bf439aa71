import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import type { MqttClient } from 'nestjs-rumqtt';
import { activeTimers, heapBytes } from './meter.js';
import { eventController } from './nest/controllers.js';
import type { NestModule } from './nest/nest.js';
import type { Sample, TaskOf } from './tasks.js';
import { ALL_TOPICS, encodePublish, floodFilter, topicOf } from './wire.js';

const TOPICS = 100;
const TOPIC_NAMES = Array.from({ length: TOPICS }, (_, index) => topicOf(index));
/** A server sees to its sockets now and then. */
const REQUESTS_PER_TURN = 1_000;
const NUMBERS = [1, 2, 3, 4, 5];
/** For what follows upon a failed handler. */
const SETTLE_MS = 200;

/** What a request holds that was acknowledged and is never answered. */
export async function measureOpenRequests(nest: NestModule, task: TaskOf<'open-requests'>): Promise<Sample> {
  Logger.overrideLogger(['error']);
  const client = nest.createClient({ ...task, qos: 1, capacity: task.warmUp + task.messages }) as MqttClient;
  await client.connect();
  const ignore = (): void => {};
  // The peer acknowledges in order: what was sent before, and this. Nest's `send` sends in a later turn.
  const acknowledged = async (): Promise<void> => {
    await setImmediate();
    await client.publish(topicOf(0), '', { qos: 1 });
  };
  const open = async (requests: number): Promise<void> => {
    for (let opened = 1; opened <= requests; opened++) {
      const topic = TOPIC_NAMES[opened % TOPICS]!;
      if (task.by === 'request') client.request(topic, NUMBERS).catch(ignore);
      else client.send(topic, NUMBERS).subscribe({ error: ignore });
      if (opened % REQUESTS_PER_TURN === 0) await acknowledged();
    }
    await acknowledged();
  };
  await acknowledged();
  const held = await measureHeld(open, task);
  const { pendingRequests } = client.stats();
  if (pendingRequests !== task.warmUp + task.messages) throw new Error(`${pendingRequests} requests are open`);
  await client.close();
  return { ...held };
}

/** What a message holds, beside its own bytes, that waits to be handled once more. */
export async function measureOpenRetries(nest: NestModule, task: TaskOf<'open-retries'>): Promise<Sample> {
  let left = 0;
  let finish = (): void => {};
  const controller = eventController(
    [ALL_TOPICS],
    () => {
      if (--left === 0) finish();
      throw new RpcException('later'); // any other error Nest would log
    },
    false,
  );
  const settlement = { retry: { minDelayMs: 3_600_000, jitter: 'none' } } as const;
  // At QoS 1 the window would be the bound.
  const server = await nest.startServer(
    { ...task, qos: 0, settlement, capacity: task.warmUp + task.messages },
    controller,
  );
  const fail = async (messages: number): Promise<void> => {
    left = messages;
    const failed = new Promise<void>((resolve) => (finish = resolve));
    await server.subscribe(floodFilter({ messages, topics: TOPICS, firstTopic: 0, payload: 'json' }), 0);
    await failed;
    await sleep(SETTLE_MS);
  };
  const { bytes, timers } = await measureHeld(fail, task);
  return { bytes: bytes - encodePublish(0, 'json', 0, 0, task.protocolVersion).length, timers };
}

interface Held {
  readonly bytes: number;
  readonly timers: number;
}

/** The warm-up fills caches and brings compiled code, which are not what one of them costs. */
async function measureHeld(
  add: (count: number) => Promise<void>,
  { warmUp, messages }: { readonly warmUp: number; readonly messages: number },
): Promise<Held> {
  const timersBefore = activeTimers();
  await add(warmUp);
  const heapBefore = heapBytes();
  await add(messages);
  return { bytes: (heapBytes() - heapBefore) / messages, timers: activeTimers() - timersBefore };
}
