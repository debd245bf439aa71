import type { BenchClient, Connect } from './clients/client.js';
import { Stopwatch } from './meter.js';
import type { Sample, TaskOf } from './tasks.js';
import { HOLD_TOPIC, payloadOf, topicOf, WINDOW, type QoS } from './wire.js';

const TOPICS = Array.from({ length: 100 }, (_, index) => topicOf(index));

export async function measurePublish(connect: Connect, task: TaskOf<'publish'>): Promise<Sample> {
  const { qos, messages, window = WINDOW, held = 0, connections = 1 } = task;
  const payload = payloadOf(task.payload);
  const open = (): Promise<BenchClient> => connect({ ...task, inflight: window + held });
  const watch = new Stopwatch();
  let client = await open();
  await publishMany(client, payload, qos, task.warmUp, window);
  for (let connection = 1; ; connection++) {
    for (let hold = 0; hold < held; hold++) client.publish(HOLD_TOPIC, payload, 1).catch(() => {}); // given up by close
    watch.start();
    await publishMany(client, payload, qos, messages, window);
    watch.stop();
    await client.close();
    if (connection >= connections) break;
    client = await open();
  }
  return watch.sample(messages * connections);
}

/** Resolves when all are complete; a failure ends the process. */
export function publishMany(
  client: BenchClient,
  payload: Buffer,
  qos: QoS,
  messages: number,
  window: number,
): Promise<void> {
  return new Promise((resolve) => {
    let offered = 0;
    let completed = 0;
    const next = (): void => {
      if (offered < messages) client.publish(TOPICS[offered++ % TOPICS.length]!, payload, qos).then(done, fail);
    };
    const done = (): void => {
      if (++completed === messages) resolve();
      else next();
    };
    for (let started = 0; started < Math.min(window, messages); started++) next();
  });
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
