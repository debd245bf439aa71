import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { resumptionClientId, type Resumption } from '../wire.js';
import type { BenchClient, ConnectOptions, ResumingClient } from './client.js';

const publishOptions = [{ qos: 0 }, { qos: 1 }, { qos: 2 }] as const;

export async function connect(options: ConnectOptions): Promise<BenchClient> {
  const { url, protocolVersion, inflight = 100, queued = 0 } = options;
  const requestCapacity = Math.max(1_000, queued);
  return wrap(await open({ url, protocolVersion, inflight, requestCapacity, requestCapacityBytes: 2 ** 28 }));
}

export async function offline({ url, protocolVersion }: ConnectOptions, bound: number): Promise<BenchClient> {
  const reconnect = { policy: 'always' } as const;
  return wrap(await open({ url, protocolVersion, reconnect, requestCapacity: bound, overflow: 'reject' }));
}

export async function resuming(url: string, resumption: Resumption): Promise<ResumingClient> {
  const loop = new EventLoop({
    url,
    protocolVersion: 5,
    clientId: resumptionClientId(resumption),
    clean: false,
    sessionExpirySeconds: 3_600,
    inflight: resumption.unacknowledged,
    requestCapacity: resumption.unacknowledged,
    reconnect: { minDelayMs: 1, jitter: 'none' },
  });
  const resumed = new Promise<void>((resolve) => {
    loop.on('connected', ({ sessionPresent }) => {
      if (sessionPresent) resolve();
    });
  });
  await loop.start();
  return { ...wrap(loop), resumed };
}

async function open(options: EventLoopOptions): Promise<EventLoop> {
  const loop = new EventLoop(options);
  await loop.start();
  return loop;
}

function wrap(loop: EventLoop): BenchClient {
  return {
    publish: (topic, payload, qos) => loop.publish(topic, payload, publishOptions[qos]),
    enqueue: (topic, payload, qos) => loop.enqueue(topic, payload, publishOptions[qos]),
    onMessage: (onMessage) => void loop.onMessage(onMessage),
    subscribe: (filters, qos) =>
      loop.subscribe(Object.fromEntries(filters.map((filter) => [filter, publishOptions[qos]]))),
    close: () => loop.shutdown({ drainTimeoutMs: 0 }),
  };
}
