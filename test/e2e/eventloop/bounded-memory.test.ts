import type { EventLoop } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';
import { floodAlone } from '../../memory/flood.js';

const LIMITS = { requestCapacity: 50, maxWaiters: 70, inflight: 20 } as const;

function count(watched: readonly Watched<unknown>[], state: Watched<unknown>['state']): number {
  return watched.filter((one) => one.state === state).length;
}

function flood(loop: EventLoop, publishes: number, qos: 0 | 1 | 2, bytes = 10): Watched<unknown>[] {
  return Array.from({ length: publishes }, () => watch(loop.publish('a', Buffer.alloc(bytes), { qos })));
}

describe.each([4, 5] as const)('outgoing, protocol version %i', (protocolVersion) => {
  test.each([1, 2] as const)(
    'a broker that never acknowledges QoS %i: all stays at the limits, callers wait, and settle',
    async (qos) => {
      const { loop, broker, clock } = scriptedLoop({ protocolVersion, ...LIMITS });
      broker.serve({ onPublish: () => false });
      await loop.start();
      const publishes = flood(loop, 20, qos);
      await clock.settle();
      publishes.push(...flood(loop, 1_000, qos));
      const full = { inflight: 20, queued: 50, waiting: 70 };
      for (let minute = 0; minute < 5; minute++) {
        await clock.advance(60_000);
        expect(loop.stats()).toMatchObject(full);
        expect([count(publishes, 'pending'), count(publishes, 'resolved')]).toEqual([140, 0]);
      }
      expect(loop.status).toBe('connected');
      const closing = loop.shutdown({ drainTimeoutMs: 1_000 });
      await clock.advance(3_000);
      expect(await closing).toEqual({ drained: false });
      expect(count(publishes, 'rejected')).toBe(1_020);
      expect(loop.stats()).toMatchObject({ inflight: 0, queued: 0, waiting: 0, queuedBytes: 0 });
    },
  );

  test.each([0, 1] as const)(
    'a broker that stops reading QoS %i: all stays at the limits, and goes on when it reads',
    async (qos) => {
      const { loop, clock, broker } = scriptedLoop({ protocolVersion, ...LIMITS, keepAliveSeconds: 0 });
      broker.serve();
      await loop.start();
      const connection = broker.connections[0]!;
      await clock.settle();
      connection.freeze();
      const publishes: Watched<unknown>[] = [];
      // Each fills a write: the socket takes the first, the next one is stuck.
      for (let round = 0; round < 10; round++) {
        publishes.push(...flood(loop, 30, qos, 60_000));
        await clock.advance(1_000);
        const { queued, waiting, inflight } = loop.stats();
        expect(queued).toBeLessThanOrEqual(50);
        expect(waiting).toBeLessThanOrEqual(70);
        expect(inflight).toBeLessThanOrEqual(20);
      }
      const open = count(publishes, 'pending');
      expect(open).toBeGreaterThanOrEqual(120);
      expect(open).toBeLessThanOrEqual(50 + 70 + 20);
      connection.thaw();
      // Each write takes a few turns of the Node event loop, and no time.
      for (let turns = 0; turns < 200 && count(publishes, 'pending') > 0; turns++) await clock.settle();
      expect(count(publishes, 'pending')).toBe(0);
      expect(loop.stats()).toMatchObject({ inflight: 0, queued: 0, waiting: 0 });
    },
  );

  test('the queue is bounded in bytes, those who wait by their number', async () => {
    const { loop, clock } = scriptedLoop({ protocolVersion, requestCapacityBytes: 10_000, maxWaiters: 5 });
    const publishes = flood(loop, 100, 1, 1_000);
    await clock.settle();
    const { queued, queuedBytes, waiting } = loop.stats();
    expect([queued, waiting, count(publishes, 'pending')]).toEqual([9, 5, 14]);
    expect(queuedBytes).toBeLessThanOrEqual(10_000);
  });
});

/** In full: MEMORY_PUBLISHES=1000000. */
const PUBLISHES = Number(process.env['MEMORY_PUBLISHES'] ?? 50_000);
/** PUBLISH of 256 bytes with its header. */
const PACKET_BYTES = 272;
const MARGIN_BYTES = 20e6;

test.each([
  ['wait', 11_000, { queued: 1_000, waiting: 10_000 }, 'MQTT_QUEUE_FULL'],
  ['reject', 1_000, { queued: 1_000, waiting: 0 }, 'MQTT_QUEUE_FULL'],
  ['drop-oldest', 1_000, { queued: 1_000, waiting: 0 }, 'MQTT_MESSAGE_DROPPED'],
  ['drop-newest', 1_000, { queued: 1_000, waiting: 0 }, 'MQTT_MESSAGE_DROPPED'],
] as const)(
  `R8: ${PUBLISHES} publishes, not awaited, nothing listening, %s: the process grows by no more than the bounds and 20 MB`,
  { timeout: 600_000 },
  async (overflow, held, bounds, code) => {
    const result = await floodAlone(PUBLISHES, { overflow });
    expect(result).toMatchObject(bounds);
    expect(result.outcomes).toEqual({ [code]: PUBLISHES - held, MQTT_CLOSED: held });
    expect(result.growthBytes).toBeLessThan(held * PACKET_BYTES + MARGIN_BYTES);
  },
);
