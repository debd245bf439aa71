import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ScriptedConnection, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

/** The broker reads one chunk and stops again. */
async function readOnce(connection: ScriptedConnection, clock: VirtualClock): Promise<void> {
  connection.thaw();
  await nextTurn();
  connection.freeze();
  await clock.settle();
}

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('R14: a broker that reads slowly holds the client back and costs it nothing', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 10 });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    const results = Array.from({ length: 100 }, () =>
      watch(loop.publish('hello/world', Buffer.alloc(5_000), { qos: 1 })),
    );
    await clock.settle();
    // One write is on its way, the rest has not left the queue.
    expect(loop.stats()).toMatchObject({ flushes: 1 });
    expect(loop.stats().queued).toBeGreaterThan(80);

    let acknowledged = 0;
    for (let halfSeconds = 0; halfSeconds < 40; halfSeconds++) {
      await clock.advance(500);
      await readOnce(connection, clock);
      // A slow broker is slow to answer too: one PUBACK every half second.
      const publish = connection.received.filter(({ cmd }) => cmd === 'publish')[acknowledged];
      if (publish === undefined) continue;
      acknowledged++;
      connection.puback(publish);
    }
    expect(disconnected).toEqual([]);
    connection.thaw();
    await clock.settle();
    for (const publish of connection.received.filter(({ cmd }) => cmd === 'publish').slice(acknowledged)) {
      connection.puback(publish);
    }
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(Array(100).fill('resolved'));
    expect(disconnected).toEqual([]);
  });

  test('R14: the queue pushes back while the broker does not read', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, requestCapacity: 10, inflight: 1_000 });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    const filled = watch(loop.publish('a', Buffer.alloc(60_000)));
    await clock.settle();
    const admissions = Array.from({ length: 12 }, () => watch(loop.enqueue('a', Buffer.alloc(60_000), { qos: 1 })));
    await clock.settle();
    expect(filled.state).toBe('pending');
    expect(admissions.map(({ state }) => state)).toEqual([...Array(10).fill('resolved'), 'pending', 'pending']);
    expect(loop.tryEnqueue('a', 'x')).toBeUndefined();
    connection.thaw();
    await clock.settle();
    expect(filled.state).toBe('resolved');
    expect(admissions.map(({ state }) => state)).toEqual(Array(12).fill('resolved'));
  });

  test('R14: no progress at all is a dead link, found by keep alive', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 10 });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    void loop.publish('a', 'x').catch(() => {});
    await clock.advance(14_999);
    expect(disconnected).toEqual([]);
    await clock.advance(1);
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT' } }]);
  });

  test('R14: a broker that takes 3 s to read each write answers pings late, but it is not dead', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 7 });
    const connection = await connect();
    connection.autoPing = true;
    await clock.settle();
    connection.freeze();
    const results = Array.from({ length: 10 }, () => watch(loop.publish('a', Buffer.alloc(60_000))));
    for (let write = 1; write <= 10; write++) {
      await clock.advance(3_000);
      await readOnce(connection, clock);
    }
    expect(disconnected).toEqual([]);
    expect(connection.received.some(({ cmd }) => cmd === 'pingreq')).toBe(true);
    expect(results.map(({ state }) => state)).toEqual(Array(10).fill('resolved'));
  });

  test('writes that complete behind a PINGREQ do not put its deadline off', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 4 });
    const connection = await connect();
    connection.halfOpen();
    await clock.advance(4_000);
    for (let write = 1; write <= 3; write++) {
      void loop.publish('a', 'x');
      await clock.advance(600);
    }
    expect(loop.stats().publishesCompleted).toBe(3);
    await clock.advance(199);
    expect(disconnected).toEqual([]);
    await clock.advance(1);
    expect(disconnected).toHaveLength(1);
  });

  test('reading, handling and liveness go on while a write is stuck', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 10 });
    const connection = await connect();
    await clock.settle();
    const seen: string[] = [];
    loop.onMessage(({ payload }) => void seen.push(payload.toString()));
    const open = watch(loop.publish('a', 'first', { qos: 1 }));
    const publish = await connection.next('publish');
    connection.freeze();
    void loop.publish('a', Buffer.alloc(1_000)).catch(() => {});
    await clock.settle();
    connection.puback(publish);
    for (let second = 1; second <= 60; second++) {
      connection.publish({ topic: 'in', payload: `${second}` });
      await clock.advance(1_000);
    }
    expect(open.state).toBe('resolved');
    expect(seen).toHaveLength(60);
    expect(disconnected).toEqual([]);
  });

  test('a stuck write and a throttle that is due do not keep the thread busy', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, throttle: 10, keepAliveSeconds: 60 });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    const results = [1, 2, 3].map(() => watch(loop.publish('a', 'x')));
    await clock.advance(10_000);
    expect(clock.nextTimerInMs).toBeGreaterThan(0);
    connection.thaw();
    await clock.advance(100);
    expect(results.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved']);
  });

  test('a stuck write does not hold up shutdown beyond its deadline', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    const stuck = watch(loop.publish('a', 'x'));
    await clock.settle();
    const closed = watch(loop.shutdown({ drainTimeoutMs: 2_000 }));
    await clock.advance(1_999);
    expect(closed.state).toBe('pending');
    // A second more for the server to close its side after DISCONNECT.
    await clock.advance(1_001);
    expect(closed.value).toEqual({ drained: false });
    expect(stuck.state).toBe('rejected');
    expect(clock.pendingTimers).toBe(0);
  });
});
