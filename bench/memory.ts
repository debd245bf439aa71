import { setImmediate } from 'node:timers/promises';
import type { ClientModule } from './clients/client.js';
import type { Sample, TaskOf } from './tasks.js';
import { payloadOf, topicOf } from './wire.js';

/** Rejections are microtasks: they need the stack to unwind now and then, as it does in any server. */
const OFFERS_PER_TURN = 1_000;
const PAYLOAD_BYTES = 256;

/** Resident memory while publishes are offered, without awaiting them, to a client that cannot connect. */
export async function measureMemory({ offline }: ClientModule, task: TaskOf<'memory'>): Promise<Sample> {
  const client = await offline(task, task.bound);
  let pending = 0;
  const settled = (): void => void pending--;
  const topic = topicOf(0);
  const payload = payloadOf(PAYLOAD_BYTES);
  let peak = 0;
  const offer = async (messages: number): Promise<void> => {
    for (let offered = 0; offered < messages; offered++) {
      pending++;
      client.publish(topic, Buffer.from(payload), 1).then(settled, settled);
      if (offered % OFFERS_PER_TURN === 0) {
        await setImmediate();
        peak = Math.max(peak, process.memoryUsage.rss());
      }
    }
  };

  const atStart = settle();
  // Fills every bound of a client that has bounds.
  await offer(task.warmUp);
  const atBounds = settle();
  peak = atBounds;
  await offer(task.messages);
  const pendingBeforeClose = pending;
  await client.close();
  await setImmediate();
  return {
    boundsMegabytes: (atBounds - atStart) / 1e6,
    growthMegabytes: (peak - atBounds) / 1e6,
    pendingBeforeClose,
    unsettled: pending,
  };
}

/** Resident memory after a collection, so that the garbage of before is not counted as the bounds'. */
function settle(): number {
  globalThis.gc!();
  return process.memoryUsage.rss();
}
