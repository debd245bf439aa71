import type { BenchClient, Connect } from './clients/client.js';
import { Stopwatch } from './meter.js';
import type { Sample, TaskOf } from './tasks.js';
import { HOLD_TOPIC, payloadOf, topicOf, WINDOW, type QoS } from './wire.js';

const TOPICS = Array.from({ length: 100 }, (_, index) => topicOf(index));

export async function measurePublish(connect: Connect, task: TaskOf<'publish'>): Promise<Sample> {
  const { qos, messages, by = 'publish', window = WINDOW, held = 0, connections = 1 } = task;
  const payload = payloadOf(task.payload);
  const inflight = window + held;
  // What is enqueued waits for the library's queue; what is published has to fit.
  const queued = by === 'enqueue' ? 0 : inflight;
  const open = async (): Promise<BenchClient> => {
    const opened = await connect({ ...task, inflight, queued });
    for (let hold = 0; hold < held; hold++) opened.publish(HOLD_TOPIC, payload, 1).catch(() => {}); // given up by close
    return opened;
  };
  const send = (count: number): Promise<void> =>
    by === 'enqueue' ? enqueueMany(client, payload, qos, count) : publishMany(client, payload, qos, count, window);
  const watch = new Stopwatch();
  let client = await open();
  await send(task.warmUp);
  for (let connection = 1; ; connection++) {
    watch.start();
    await send(messages);
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

/** As fast as the queue takes them. Resolves when the last is complete, which the peer acknowledges last. */
async function enqueueMany(client: BenchClient, payload: Buffer, qos: QoS, messages: number): Promise<void> {
  for (let offered = 1; offered < messages; offered++)
    await client.enqueue!(TOPICS[offered % TOPICS.length]!, payload, qos);
  const last = await client.enqueue!(TOPICS[0]!, payload, qos);
  await last.completed;
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}
