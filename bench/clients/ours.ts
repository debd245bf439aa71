import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import type { BenchClient } from './client.js';

const publishOptions = [{ qos: 0 }, { qos: 1 }, { qos: 2 }] as const;

export function connect(url: string): Promise<BenchClient> {
  return open({ url, protocolVersion: 4 });
}

export function offline(url: string): Promise<BenchClient> {
  return open({ url, protocolVersion: 4, reconnect: { policy: 'always' } });
}

async function open(options: EventLoopOptions): Promise<BenchClient> {
  const loop = new EventLoop(options);
  await loop.start();
  return {
    publish: (topic, payload, qos) => loop.publish(topic, payload, publishOptions[qos]),
    subscribe(filter, qos, onMessage) {
      loop.onMessage(onMessage);
      return loop.subscribe(filter, { qos });
    },
    close: () => loop.shutdown({ drainTimeoutMs: 0 }),
  };
}
