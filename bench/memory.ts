import { setImmediate } from 'node:timers/promises';
import type { Connect } from './clients/client.js';
import type { Task } from './scenarios.js';
import { payloadOf, topicOf } from './wire.js';

export interface MemorySample {
  readonly offered: number;
  /** Resident memory that the warm-up left behind: it fills every bound of a client that has bounds. */
  readonly boundsBytes: number;
  /** The most by which resident memory grew after that. */
  readonly growthBytes: number;
  /** Promises that were still pending at the end of the offers, and after the client was closed. */
  readonly pendingBeforeClose: number;
  readonly pendingAfterClose: number;
}

/** Rejections are microtasks: they need the stack to unwind now and then, as it does in any server. */
const OFFERS_PER_TURN = 1_000;

export async function measureMemory(open: Connect, task: Task): Promise<MemorySample> {
  const client = await open(task.url);
  let pending = 0;
  const settled = (): void => void pending--;
  const topic = topicOf(0);
  let peak = 0;
  const offer = async (messages: number): Promise<void> => {
    for (let offered = 0; offered < messages; offered++) {
      pending++;
      client.publish(topic, Buffer.from(payloadOf('bytes')), 1).then(settled, settled);
      if (offered % OFFERS_PER_TURN === 0) {
        await setImmediate();
        peak = Math.max(peak, process.memoryUsage.rss());
      }
    }
  };

  const atStart = settle();
  await offer(task.warmUp);
  const atBounds = settle();
  peak = atBounds;
  await offer(task.messages);
  const pendingBeforeClose = pending;
  await client.close();
  await setImmediate();
  return {
    offered: task.warmUp + task.messages,
    boundsBytes: atBounds - atStart,
    growthBytes: peak - atBounds,
    pendingBeforeClose,
    pendingAfterClose: pending,
  };
}

/** Resident memory after a collection, so that the garbage of before is not counted as the bounds'. */
function settle(): number {
  globalThis.gc!();
  return process.memoryUsage.rss();
}
