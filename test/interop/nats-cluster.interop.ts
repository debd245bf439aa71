import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { expect, onTestFinished, test } from 'vitest';
import { findNats, Nats } from '../fixtures/nats.js';

const NODES = 3;
/** While each node is killed, and again while all are up. */
const PER_PHASE = 100;

async function connect(options: EventLoopOptions): Promise<EventLoop> {
  const loop = new EventLoop({ reconnect: { policy: 'always', minDelayMs: 50, maxDelayMs: 500 }, ...options });
  onTestFinished(async () => void (await loop.shutdown({ drainTimeoutMs: 0 })));
  await loop.start();
  if (loop.negotiated === undefined) await connected(loop);
  return loop;
}

function connected(loop: EventLoop): Promise<void> {
  return new Promise((resolve) => {
    const off = loop.on('connected', () => {
      off();
      resolve();
    });
  });
}

async function failover(): Promise<void> {
  const nodes = await Nats.startCluster(NODES, { ackWaitSeconds: 5 });
  onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
  const url = nodes.map((node) => node.url);
  const acknowledged = new Set<string>();
  const received = new Set<string>();
  let arrived = (): void => undefined;

  const subscriber = await connect({ url, clientId: 'durable', clean: false });
  subscriber.onMessage(({ payload }) => {
    received.add(payload.toString());
    arrived();
  });
  await subscriber.subscribe('readings/+', { qos: 1 });
  const publisher = await connect({ url, clientId: 'publisher', clean: false });
  let next = 0;
  const publishSome = async (): Promise<void> => {
    for (let i = 0; i < PER_PHASE; i++) {
      const number = `${next++}`;
      await publisher.publish(`readings/${i % 7}`, number, { qos: 1 });
      acknowledged.add(number);
    }
  };

  for (const node of nodes) {
    const others = nodes.filter((other) => other !== node);
    const during = publishSome();
    // In the middle of it, and not before or after.
    const wanted = acknowledged.size + PER_PHASE / 4;
    while (acknowledged.size < wanted) await publisher.publish('pace', '', { qos: 1 });
    await node.kill();
    await during;
    for (const loop of [publisher, subscriber]) {
      while (loop.negotiated === undefined || loop.negotiated.server === node.url) await connected(loop);
      expect(others.map((other) => other.url)).toContain(loop.negotiated.server);
    }
    await node.launch();
    await publishSome();
  }
  while (received.size < acknowledged.size) await new Promise<void>((resolve) => (arrived = resolve));

  expect(acknowledged.size).toBe(2 * NODES * PER_PHASE);
  expect([...acknowledged].filter((number) => !received.has(number))).toEqual([]);
  expect(publisher.stats()).toMatchObject({ publishesFailed: 0 });
  // The URL list was needed: both began at the first node, which was killed.
  expect([publisher, subscriber].map((loop) => loop.stats().reconnects > 0)).toEqual([true, true]);
}

// brokers.interop.ts says what is missing, and fails where it must not be.
test.runIf(findNats() !== undefined)(
  'NATS: three nodes are killed one after the other, and no message that was acknowledged at QoS 1 is lost',
  failover,
);
