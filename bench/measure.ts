import type { Connect } from './clients/client.js';
import { eventController } from './nest/controller.js';
import type { StartServer } from './nest/server.js';
import type { Task } from './scenarios.js';
import { floodFilter, payloadOf, topicOf, WINDOW, type QoS } from './wire.js';

export interface Sample {
  readonly messages: number;
  /** User and system CPU time of the whole process. */
  readonly cpuMicros: number;
  readonly wallMs: number;
}

const TOPICS = 100;

/** Counts messages and takes the process's CPU time from the end of the warm-up to the last message. */
class Meter {
  readonly sample: Promise<Sample>;
  private finish!: (sample: Sample) => void;
  private count = 0;
  private startCpu = process.cpuUsage();
  private startMs = performance.now();

  constructor(
    private readonly warmUp: number,
    private readonly messages: number,
  ) {
    this.sample = new Promise((resolve) => (this.finish = resolve));
  }

  readonly tick = (): void => {
    this.count++;
    if (this.count === this.warmUp) {
      this.startMs = performance.now();
      this.startCpu = process.cpuUsage();
    } else if (this.count === this.warmUp + this.messages) {
      const { user, system } = process.cpuUsage(this.startCpu);
      this.finish({ messages: this.messages, cpuMicros: user + system, wallMs: performance.now() - this.startMs });
    }
  };
}

export async function measurePublish(connect: Connect, task: Task & { qos: QoS }): Promise<Sample> {
  const client = await connect(task.url);
  const meter = new Meter(task.warmUp, task.messages);
  const topics = Array.from({ length: TOPICS }, (_, index) => topicOf(index));
  const payload = payloadOf('bytes');
  const total = task.warmUp + task.messages;
  let offered = 0;
  const fail = (error: unknown): never => {
    console.error(error);
    process.exit(1);
  };
  const next = (): void => {
    if (offered === total) return;
    client.publish(topics[offered++ % TOPICS]!, payload, task.qos).then(done, fail);
  };
  const done = (): void => {
    meter.tick();
    next();
  };
  for (let started = 0; started < WINDOW; started++) next();
  const sample = await meter.sample;
  await client.close();
  return sample;
}

export async function measureReceive(connect: Connect, task: Task & { qos: QoS }): Promise<Sample> {
  const client = await connect(task.url);
  const meter = new Meter(task.warmUp, task.messages);
  const flood = { messages: task.warmUp + task.messages, topics: TOPICS, firstTopic: 0, payload: 'bytes' } as const;
  await client.subscribe(floodFilter(flood), task.qos, meter.tick);
  const sample = await meter.sample;
  await client.close();
  return sample;
}

export async function measureEvents(
  start: StartServer,
  task: Task & { handlers: number; topics: number },
): Promise<Sample> {
  const meter = new Meter(task.warmUp, task.messages);
  const server = await start(task.url, eventController(task.handlers, meter.tick));
  const messages = task.warmUp + task.messages;
  const firstTopic = task.handlers - task.topics;
  await server.subscribe(floodFilter({ messages, topics: task.topics, firstTopic, payload: 'json' }));
  const sample = await meter.sample;
  await server.close();
  return sample;
}
