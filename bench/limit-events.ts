/** What no transport can do without: the text of a payload, `JSON.parse`, and Nest's pipeline around a handler. */
import { BaseRpcContext, Server, type CustomTransportStrategy } from '@nestjs/microservices';
import { Meter } from './meter.js';
import { eventController } from './nest/controllers.js';
import { startMicroservice } from './nest/nest.js';
import type { Sample, TaskOf } from './tasks.js';
import { filterOf, payloadOf, topicOf, WINDOW } from './wire.js';

const TOPIC = topicOf(0);

class NoTransport extends Server implements CustomTransportStrategy {
  listen(callback: () => void): void {
    callback();
  }

  close(): void {}

  on(): void {}

  unwrap<T>(): T {
    return undefined as T;
  }
}

/** As many begin in a turn as come with one read in the other lines. */
export async function measureLimitEvents(task: TaskOf<'events'>): Promise<Sample> {
  const { handlers, topics, messages, warmUp } = task;
  const meter = new Meter(task);
  const filters = Array.from({ length: handlers }, (_, index) => filterOf(index));
  const strategy = new NoTransport();
  const app = await startMicroservice(eventController(filters, meter.tick, false), { strategy });
  const called = [...strategy.getHandlers().values()].slice(handlers - topics);
  const payload = payloadOf('json');
  const call = (index: number): Promise<unknown> =>
    called[index % topics]!(JSON.parse(payload.toString()), new BaseRpcContext([TOPIC]));
  for (let first = 0; first < warmUp + messages; first += WINDOW) await turn(call, first);
  await app.close();
  return meter.sample;
}

/** Begins as many, and resolves in a later turn of Node's event loop when they have ended. */
function turn(call: (index: number) => Promise<unknown>, first: number): Promise<void> {
  return new Promise((resolve) => {
    let running = WINDOW;
    const ended = (): void => {
      if (--running === 0) setImmediate(resolve);
    };
    for (let index = first; index < first + WINDOW; index++) void call(index).then(ended);
  });
}
