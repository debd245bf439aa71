import type { ClientModule } from './clients/client.js';
import type { Sample, TaskOf } from './tasks.js';
import { payloadOf, topicOf } from './wire.js';

const PAYLOAD_BYTES = 256;

/** From CONNACK of the resumed session until the last of its publishes is complete, as a multiple of what the window allows. */
export async function measureResume({ resuming }: ClientModule, task: TaskOf<'resume'>): Promise<Sample> {
  const { unacknowledged, receiveMaximum, rttMs } = task;
  const client = await resuming(task.url, task);
  const payload = payloadOf(PAYLOAD_BYTES);
  const all = Promise.all(
    Array.from({ length: unacknowledged }, (_, index) => client.publish(topicOf(index), payload, 1)),
  );
  await client.resumed;
  const startMs = performance.now();
  await client.publish(topicOf(0), payload, 0);
  const newQos0Ms = performance.now() - startMs;
  await all;
  const totalMs = performance.now() - startMs;
  await client.close();
  return {
    totalMs,
    ofIdeal: totalMs / ((unacknowledged / receiveMaximum) * rttMs),
    newQos0Rtts: newQos0Ms / rttMs,
  };
}
