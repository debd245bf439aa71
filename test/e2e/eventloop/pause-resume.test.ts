import type { EventLoop } from 'nestjs-rumqtt/eventloop';
import type { ReceivedPacket, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

const EXACT = { jitter: 'none', minDelayMs: 1_000, factor: 1 } as const;

function publish(loop: EventLoop, index: number): Watched<unknown> {
  return watch(loop.publish('hello/world', Buffer.from([index, 1, 2, 3]), { qos: 1 }));
}

const index = ({ payload }: ReceivedPacket<'publish'>): number => payload[0]!;

/** Reads DISCONNECT and answers it as a broker does. */
async function goodbye(connection: ScriptedConnection): Promise<ReceivedPacket<'disconnect'>> {
  const packet = await connection.next('disconnect');
  connection.end();
  await connection.closed();
  return packet;
}

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('S9: publish once a second, pause and resume every five: each pause says DISCONNECT, nothing is lost', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const arrived: number[] = [];
    broker.serve({ onPublish: (packet) => void arrived.push(index(packet)) });
    await loop.start();
    const results: Watched<unknown>[] = [];
    for (let second = 1; second <= 40; second++) {
      results.push(publish(loop, second));
      await clock.advance(1_000);
      const phase = Math.floor(second / 5) % 2 === 1 ? 'paused' : 'connected';
      if (second % 5 !== 0) continue;
      const changed = watch(phase === 'paused' ? loop.pause() : loop.resume());
      await clock.settle();
      expect(changed.state).toBe('resolved');
      expect(loop.status).toBe(phase);
    }
    expect(arrived).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(results.map(({ state }) => state)).toEqual(Array(40).fill('resolved'));
    expect(broker.connections).toHaveLength(5);
    expect(broker.connections.map(({ open }) => open)).toEqual([false, false, false, false, true]);
  });

  test('pause sends DISCONNECT as the last packet, so that the will is not published, and stays away', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      will: { topic: 'status/7', payload: 'gone' },
      keepAliveSeconds: 5,
    });
    const connection = await connect();
    expect(connection.connectPacket?.will).toMatchObject({ topic: 'status/7' });
    const paused = watch(loop.pause());
    expect(await connection.next('disconnect')).toMatchObject(protocolVersion === 5 ? { reasonCode: 0 } : {});
    await connection.closed();
    await connection.nothing(clock);
    expect(paused.state).toBe('resolved');
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(600_000);
    expect(broker.connections).toHaveLength(1);
  });

  test('a broker that does not close after DISCONNECT holds pause up for a second only', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    const paused = watch(loop.pause());
    await clock.advance(999);
    expect(paused.state).toBe('pending');
    await clock.advance(1);
    expect(paused.state).toBe('resolved');
    expect(clock.pendingTimers).toBe(0);
  });

  test('the queue goes on taking requests while paused, up to its capacity, and is sent in order afterwards', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, requestCapacity: 3 });
    const first = await connect();
    void loop.pause();
    await goodbye(first);
    await clock.settle();
    const admissions = [1, 2, 3, 4].map((i) =>
      watch(loop.enqueue('hello/world', Buffer.from([i, 1, 2, 3]), { qos: 1 })),
    );
    await clock.advance(60_000);
    expect(admissions.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved', 'pending']);
    expect(loop.stats()).toMatchObject({ queued: 3, waiting: 1, connected: false });
    const resumed = watch(loop.resume());
    const second = await broker.acceptConnected();
    for (let i = 1; i <= 4; i++) expect(index(await second.next('publish'))).toBe(i);
    expect(resumed.state).toBe('resolved');
  });

  test('what was not acknowledged before the pause is resent in the session that the broker has kept', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, clean: false });
    const first = await connect();
    const result = publish(loop, 1);
    const sent = await first.next('publish');
    void loop.pause();
    await goodbye(first);
    await clock.settle();
    expect(result.state).toBe('pending');
    void loop.resume();
    const second = await broker.acceptConnected({ sessionPresent: true });
    const again = await second.next('publish');
    expect(again).toMatchObject({ dup: true, messageId: sent.messageId });
    second.puback(again);
    await clock.settle();
    expect(result.state).toBe('resolved');
  });

  test('resume connects at once, whatever the backoff had come to, and starts it anew', async () => {
    const { loop, broker, clock, connect, disconnected } = scriptedLoop({
      protocolVersion,
      reconnect: { jitter: 'none', minDelayMs: 60_000, maxDelayMs: 600_000 },
    });
    const first = await connect();
    broker.down();
    first.cut();
    await clock.advance(60_000);
    expect(disconnected.at(-1)).toMatchObject({ willRetryInMs: 120_000 });
    await loop.pause();
    void loop.resume();
    await clock.settle();
    expect(broker.dialled).toHaveLength(3);
    expect(disconnected.at(-1)).toMatchObject({ willRetryInMs: 60_000 });
    broker.up();
    await clock.advance(60_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(loop.status).toBe('connected');
  });

  test('a resume that fails is retried as after a loss', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const first = await connect();
    void loop.pause();
    await goodbye(first);
    await clock.settle();
    broker.refuseNext();
    const resumed = watch(loop.resume());
    await clock.settle();
    expect(resumed.state).toBe('pending');
    await clock.advance(1_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(resumed.state).toBe('resolved');
  });

  test('resume rejects when the loop gives up', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: { policy: 'never' } });
    const first = await connect();
    void loop.pause();
    await goodbye(first);
    await clock.settle();
    broker.down();
    const resumed = watch(loop.resume());
    await clock.settle();
    expect(resumed.error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
    expect(loop.status).toBe('closed');
  });

  test.each(['credentials', 'network', 'CONNACK'])('pause interrupts a connection that waits for %s', async (what) => {
    const { loop, broker, clock } = scriptedLoop({
      protocolVersion,
      credentials: what === 'credentials' ? () => new Promise(() => {}) : { username: 'me' },
    });
    if (what === 'network') broker.blackholeNext();
    const started = watch(loop.start());
    await clock.settle();
    const connection = what === 'CONNACK' ? await broker.accept() : undefined;
    await connection?.connect();
    const paused = watch(loop.pause());
    await clock.settle();
    expect(paused.state).toBe('resolved');
    expect(started.error).toMatchObject({ code: 'MQTT_INVALID_STATE' });
    expect(loop.status).toBe('paused');
    expect(clock.pendingTimers).toBe(0);
    await connection?.closed();
    // The broker may have accepted it already: the will is cancelled all the same.
    if (connection) expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect', 'disconnect']);
  });

  test('pause interrupts the wait for the next attempt', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const first = await connect();
    first.cut();
    await clock.settle();
    await loop.pause();
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(600_000);
    expect(broker.dialled).toHaveLength(1);
  });

  test('pause, resume and reconnect take effect one after the other, however fast they come', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion });
    const first = await connect();
    const commands = [loop.pause(), loop.resume(), loop.pause(), loop.reconnect(), loop.resume()].map(watch);
    await goodbye(first);
    await clock.settle();
    const last = await broker.acceptConnected().catch(() => broker.acceptConnected());
    await clock.advance(5_000);
    expect(commands.map(({ state }) => state)).toEqual([
      'resolved',
      // The second pause took it back.
      'rejected',
      'resolved',
      'resolved',
      'resolved',
    ]);
    expect(loop.status).toBe('connected');
    expect(broker.connections.filter(({ open }) => open)).toEqual([last]);
  });

  test('pause twice is pause once; resume of what is not paused is start', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const resumed = watch(loop.resume());
    const connection = await broker.acceptConnected();
    await clock.settle();
    expect(resumed.state).toBe('resolved');
    await loop.resume();
    expect(broker.connections).toHaveLength(1);
    const paused = [loop.pause(), loop.pause()].map(watch);
    await goodbye(connection);
    await clock.settle();
    expect(paused.map(({ state }) => state)).toEqual(['resolved', 'resolved']);
    await expect(loop.start()).rejects.toMatchObject({ code: 'MQTT_INVALID_STATE' });
  });
});

describe('reconnect on demand', () => {
  test('disconnects, connects at once with the new options, and keeps what was accepted', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      inflight: 1,
      clean: false,
      credentials: { username: 'old' },
    });
    const first = await connect();
    const results = [1, 2, 3].map((i) => publish(loop, i));
    await first.next('publish');
    const changed = watch(loop.reconnect({ credentials: { username: 'new' }, inflight: 10 }));
    await goodbye(first);
    const second = await broker.acceptConnected({ sessionPresent: true });
    expect(second.connectPacket?.username).toBe('new');
    for (let i = 1; i <= 3; i++) second.puback(await second.next('publish'));
    await clock.settle();
    expect(changed.state).toBe('resolved');
    expect(results.map(({ state }) => state)).toEqual(Array(3).fill('resolved'));
  });

  test.each([
    { keepAliveSeconds: -1, credentials: { username: 'new' } },
    { url: 'http://x', clientId: 'other' },
    { unknown: 1, throttle: 1 },
  ])('with a wrong option (%j) changes nothing at all', async (options) => {
    const { loop, broker, clock, connect } = scriptedLoop({
      clientId: 'one',
      credentials: { username: 'old' },
      reconnect: EXACT,
    });
    const first = await connect();
    await expect(loop.reconnect(options)).rejects.toMatchObject({ code: 'MQTT_INVALID_OPTIONS' });
    await first.nothing(clock);
    expect(loop.status).toBe('connected');
    // Nor does anything of it come out later.
    first.cut();
    await clock.advance(1_000);
    const second = await broker.acceptConnected();
    expect(second.connectPacket).toMatchObject({ clientId: 'one', username: 'old', keepalive: 60 });
    expect(broker.dialled).toEqual(['mqtt://localhost:1883', 'mqtt://localhost:1883']);
    void loop.publish('a', 'x');
    void loop.publish('a', 'x');
    await second.next('publish');
    await second.next('publish');
    void loop.reconnect({ keepAliveSeconds: 9 });
    await goodbye(second);
    const third = await broker.acceptConnected();
    expect(third.connectPacket).toMatchObject({ clientId: 'one', username: 'old', keepalive: 9 });
    await clock.settle();
  });

  test('reports every wrong option', async () => {
    const { loop } = scriptedLoop();
    await expect(loop.reconnect({ keepAliveSeconds: -1, inflight: 0 })).rejects.toMatchObject({
      issues: [{ option: 'keepAliveSeconds' }, { option: 'inflight' }],
    });
  });

  test('ends a backoff at once', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ reconnect: { jitter: 'none', minDelayMs: 60_000 } });
    (await connect()).cut();
    await clock.settle();
    void loop.reconnect();
    await broker.acceptConnected();
    await clock.settle();
    expect(loop.status).toBe('connected');
    expect(clock.now()).toBe(0);
  });

  test('ends a pause, and makes the first connection of a loop that was never started', async () => {
    const { loop, broker, clock } = scriptedLoop();
    const started = watch(loop.reconnect({ keepAliveSeconds: 7 }));
    const first = await broker.acceptConnected();
    expect(first.connectPacket?.keepalive).toBe(7);
    await clock.settle();
    expect(started.state).toBe('resolved');
    void loop.pause();
    await goodbye(first);
    await clock.settle();
    void loop.reconnect();
    expect((await broker.acceptConnected()).connectPacket?.keepalive).toBe(7);
    await clock.settle();
    expect(loop.status).toBe('connected');
  });

  test('lets a start that is under way resolve with the connection that it makes', async () => {
    const { loop, broker, clock } = scriptedLoop({ url: 'mqtt://wrong' });
    broker.blackholeNext();
    const started = watch(loop.start());
    await clock.settle();
    const moved = watch(loop.reconnect({ url: 'mqtt://right' }));
    await broker.acceptConnected();
    await clock.settle();
    expect(moved.state).toBe('resolved');
    // It asked for a connection that was given up.
    expect(started.error).toMatchObject({ code: 'MQTT_INVALID_STATE' });
    expect(broker.dialled).toEqual(['mqtt://wrong:1883', 'mqtt://right:1883']);
  });

  test('options of earlier calls stay', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ keepAliveSeconds: 5 });
    const first = await connect();
    void loop.reconnect({ credentials: { username: 'me' } });
    await goodbye(first);
    const second = await broker.acceptConnected();
    await clock.settle();
    void loop.reconnect({ keepAliveSeconds: 9 });
    await goodbye(second);
    const third = await broker.acceptConnected();
    expect(third.connectPacket).toMatchObject({ username: 'me', keepalive: 9 });
    expect(third.connectPacket?.clientId).toBe(first.connectPacket?.clientId);
    await clock.settle();
  });
});

test('S9: slow, half-open, cut and absent links in turn: everything arrives, in order, without a repeat', async () => {
  const { loop, broker, clock } = scriptedLoop({
    clean: false,
    keepAliveSeconds: 4,
    inflight: 20,
    reconnect: { jitter: 'none', minDelayMs: 500, maxDelayMs: 2_000 },
  });
  const seen = new Set<number>();
  const order: number[] = [];
  broker.serve({
    connack: () => ({ sessionPresent: broker.connections.length > 1 }),
    onPublish: ({ messageId, dup, payload }) => {
      const number = payload.readUInt16BE();
      // A broker with a session knows a message by its identifier; what it has acknowledged it forgets.
      if (!seen.has(number)) order.push(number);
      else if (!dup) throw new Error(`${number} (id ${messageId}) came twice as new`);
      seen.add(number);
    },
  });
  await loop.start();
  const results: Watched<unknown>[] = [];
  const faults = [
    (link: ScriptedConnection): void => link.freeze(),
    (link: ScriptedConnection): void => link.halfOpen(),
    (link: ScriptedConnection): void => link.cut(),
    (link: ScriptedConnection): void => {
      broker.down();
      link.end();
    },
  ];
  for (let step = 0; step < 40; step++) {
    for (let i = 0; i < 10; i++) {
      const payload = Buffer.alloc(2);
      payload.writeUInt16BE(results.length);
      results.push(watch(loop.publish('hello/world', payload, { qos: 1 })));
      await clock.advance(100);
    }
    const link = broker.connections.at(-1)!;
    if (link.open) faults[step % faults.length]!(link);
    await clock.advance(3_000);
    broker.up();
    link.thaw();
  }
  await clock.advance(60_000);
  expect(order).toEqual(Array.from({ length: 400 }, (_, i) => i));
  expect(results.every(({ state }) => state === 'resolved')).toBe(true);
  expect(broker.connections.length).toBeGreaterThan(20);
});
