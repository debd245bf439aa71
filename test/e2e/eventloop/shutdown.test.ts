import { MqttClosedError, type EventLoop } from 'nestjs-rumqtt/eventloop';
import type { ReceivedPacket, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

const EXACT = { jitter: 'none', minDelayMs: 1_000, factor: 1 } as const;
const WILL = { topic: 'status/7', payload: 'gone', qos: 1 } as const;

function publish(loop: EventLoop, index: number, qos: 0 | 1 | 2 = 1): Watched<unknown> {
  return watch(loop.publish('hello/world', Buffer.from([index, 1, 2, 3]), { qos }));
}

const index = ({ payload }: ReceivedPacket<'publish'>): number => payload[0]!;
const names = (connection: ScriptedConnection): string[] => connection.received.map(({ cmd }) => cmd);

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('S9: 10 publishes, shutdown, 10 more: the first ten complete, the others reject, DISCONNECT is last', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 3 });
    const connection = await connect();
    const accepted = Array.from({ length: 10 }, (_, i) => publish(loop, i + 1));
    const closed = watch(loop.shutdown());
    expect(loop.status).toBe('closing');
    const late = Array.from({ length: 10 }, (_, i) => publish(loop, i + 11));
    for (let i = 1; i <= 10; i++) {
      const packet = await connection.next('publish');
      expect(index(packet)).toBe(i);
      connection.puback(packet);
    }
    await connection.next('disconnect');
    await connection.closed();
    await connection.nothing(clock);
    expect(closed.value).toEqual({ drained: true });
    expect(accepted.map(({ state }) => state)).toEqual(Array(10).fill('resolved'));
    for (const { error } of late) {
      expect(error).toBeInstanceOf(MqttClosedError);
      expect(error).toMatchObject({ delivery: 'not-sent' });
    }
    expect(loop.status).toBe('closed');
    expect(clock.pendingTimers).toBe(0);
  });

  test('ten QoS 2 publishes are released before DISCONNECT', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    for (let i = 1; i <= 10; i++) publish(loop, i, 2);
    const closed = watch(loop.shutdown());
    for (let i = 1; i <= 10; i++) connection.pubrec(await connection.next('publish'));
    for (let i = 1; i <= 10; i++) connection.pubcomp(await connection.next('pubrel'));
    await connection.next('disconnect');
    await connection.nothing(clock);
    expect(closed.value).toEqual({ drained: true });
  });

  test('what waits for its turn is drained in order: queue, window, throttle, and callers that wait for the queue', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1, throttle: 10, requestCapacity: 2 });
    const connection = await connect();
    for (let i = 1; i <= 5; i++) publish(loop, i);
    const subscribed = watch(loop.subscribe('a'));
    const closed = watch(loop.shutdown());
    const seen: string[] = [];
    for (let i = 1; i <= 6; i++) {
      await clock.advance(i === 1 ? 0 : 100);
      const packet = await connection.next();
      if (packet.cmd === 'publish') {
        seen.push(`${index(packet)}`);
        connection.puback(packet);
      } else if (packet.cmd === 'subscribe') {
        seen.push('subscribe');
        connection.suback(packet);
      }
    }
    await connection.next('disconnect');
    await clock.settle();
    expect(seen).toEqual(['subscribe', '1', '2', '3', '4', '5']);
    expect([closed.value, subscribed.state]).toEqual([{ drained: true }, 'resolved']);
  });

  test('the deadline ends the drain: DISCONNECT, and what is open is told what became of it', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const connection = await connect();
    const [sent, queued] = [publish(loop, 1, 2), publish(loop, 2, 2)];
    const closed = watch(loop.shutdown({ drainTimeoutMs: 50 }));
    await connection.next('publish');
    await clock.advance(49);
    await connection.nothing();
    await clock.advance(1);
    await connection.next('disconnect');
    await connection.closed();
    await clock.settle();
    expect(closed.value).toEqual({ drained: false });
    expect(sent.error).toMatchObject({ code: 'MQTT_CLOSED', delivery: 'unknown' });
    expect(queued.error).toMatchObject({ code: 'MQTT_CLOSED', delivery: 'not-sent' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('drainTimeoutMs 0: DISCONNECT at once, also when nothing else wakes the loop', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 60 });
    const connection = await connect();
    await clock.settle();
    const closed = watch(loop.shutdown({ drainTimeoutMs: 0 }));
    await connection.next('disconnect');
    await clock.settle();
    expect(closed.state).toBe('resolved');
    expect(clock.now()).toBe(0);
  });

  test('by default the drain has ten seconds', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    await connect();
    publish(loop, 1);
    const closed = watch(loop.shutdown());
    await clock.advance(9_999);
    expect(closed.state).toBe('pending');
    await clock.advance(1);
    expect(closed.value).toEqual({ drained: false });
  });

  test('handlers that are at work finish, and their acknowledgements leave before DISCONNECT', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    let finish = (): void => {};
    const handled: string[] = [];
    let refused: Watched<unknown> | undefined;
    loop.onMessage(async ({ topic }) => {
      await new Promise<void>((resolve) => (finish = resolve));
      refused = watch(loop.publish('too/late', 'x'));
      handled.push(topic);
    });
    connection.publish({ topic: 'in/1', qos: 1, messageId: 1 });
    await clock.settle();
    const closed = watch(loop.shutdown());
    // What comes now is left to the broker.
    connection.publish({ topic: 'in/2', qos: 1, messageId: 2 });
    connection.publish({ topic: 'in/3' });
    await clock.advance(1_000);
    expect(closed.state).toBe('pending');
    finish();
    expect((await connection.next('puback')).messageId).toBe(1);
    await connection.next('disconnect');
    await clock.settle();
    expect(closed.value).toEqual({ drained: true });
    expect(handled).toEqual(['in/1']);
    expect(refused?.error).toMatchObject({ code: 'MQTT_CLOSED' });
  });

  test('a handler that never finishes costs the deadline and no more', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    loop.onMessage(() => new Promise(() => {}));
    connection.publish({ topic: 'in', qos: 1, messageId: 1 });
    await clock.settle();
    const closed = watch(loop.shutdown({ drainTimeoutMs: 2_000 }));
    await clock.advance(2_000);
    expect(closed.value).toEqual({ drained: false });
    expect(names(connection)).toEqual(['connect', 'disconnect']);
  });

  test('a link that goes during the drain is made again, and the drain goes on', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, clean: false, reconnect: EXACT });
    const first = await connect();
    const results = [1, 2, 3].map((i) => publish(loop, i));
    const closed = watch(loop.shutdown());
    first.puback(await first.next('publish'));
    await clock.settle();
    first.cut();
    await clock.advance(1_000);
    const second = await broker.acceptConnected({ sessionPresent: true });
    for (let i = 2; i <= 3; i++) {
      const packet = await second.next('publish');
      expect(packet.dup).toBe(true);
      second.puback(packet);
    }
    await second.next('disconnect');
    await clock.settle();
    expect(closed.value).toEqual({ drained: true });
    expect(results.map(({ state }) => state)).toEqual(['resolved', 'resolved', 'resolved']);
  });

  test('when no link can be made any more the drain ends at once', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, reconnect: { policy: 'never' } });
    const first = await connect();
    const result = publish(loop, 1);
    const closed = watch(loop.shutdown({ drainTimeoutMs: 60_000 }));
    await first.next('publish');
    first.cut();
    await clock.settle();
    expect(closed.value).toEqual({ drained: false });
    expect(result.error).toMatchObject({ code: 'MQTT_CLOSED', delivery: 'unknown' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('interrupts the wait for the next attempt', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    (await connect()).cut();
    await clock.settle();
    const closed = watch(loop.shutdown());
    await clock.settle();
    expect(closed.value).toEqual({ drained: true });
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(600_000);
    expect(broker.dialled).toHaveLength(1);
  });

  test.each(['credentials', 'network', 'CONNACK'])('interrupts a connection that waits for %s', async (what) => {
    const { loop, broker, clock, connected } = scriptedLoop({
      protocolVersion,
      credentials: what === 'credentials' ? () => new Promise(() => {}) : { username: 'me' },
    });
    if (what === 'network') broker.blackholeNext();
    const started = watch(loop.start());
    await clock.settle();
    const connection = what === 'CONNACK' ? await broker.accept() : undefined;
    await connection?.connect();
    const closed = watch(loop.shutdown());
    await clock.settle();
    expect(closed.value).toEqual({ drained: true });
    expect(started.error).toBeInstanceOf(MqttClosedError);
    expect(clock.pendingTimers).toBe(0);
    await connection?.closed();
    // The broker may have accepted it already: the will is cancelled all the same.
    if (connection) expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect', 'disconnect']);
    expect(connected).toEqual([]);
  });

  test('ends a pause, and tells what waited in the queue', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const first = await connect();
    void loop.pause();
    await first.next('disconnect');
    await first.closed();
    await clock.settle();
    const waiting = publish(loop, 1);
    const closed = watch(loop.shutdown());
    await clock.settle();
    expect(closed.value).toEqual({ drained: false });
    expect(waiting.error).toMatchObject({ code: 'MQTT_CLOSED', delivery: 'not-sent' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('of a loop that was never started resolves', async () => {
    const { loop, clock } = scriptedLoop({ protocolVersion });
    const waiting = publish(loop, 1);
    const closed = watch(loop.shutdown());
    await clock.settle();
    expect(closed.value).toEqual({ drained: false });
    expect(waiting.error).toBeInstanceOf(MqttClosedError);
    expect(loop.status).toBe('closed');
  });

  test.each(['reconnect', 'pause'] as const)(
    'while %s is under way: no connection is left or made',
    async (command) => {
      const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion });
      const first = await connect();
      await clock.settle();
      // The broker does not answer DISCONNECT, so the command takes a second.
      first.freeze();
      const commanded = watch(loop[command]());
      await clock.advance(500);
      const closed = watch(loop.shutdown({ drainTimeoutMs: 0 }));
      await clock.advance(60_000);
      expect(closed.state).toBe('resolved');
      expect(commanded.state).not.toBe('pending');
      expect(loop.status).toBe('closed');
      expect(clock.pendingTimers).toBe(0);
      first.thaw();
      await clock.settle();
      expect(broker.connections.map(({ open }) => open)).not.toContain(true);
    },
  );

  test('while reconnect is under way: what was accepted is drained on the connection that it makes', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ protocolVersion });
    const first = await connect();
    await clock.settle();
    first.freeze();
    void loop.reconnect().catch(() => {});
    await clock.advance(500);
    const result = publish(loop, 1);
    const closed = watch(loop.shutdown());
    await clock.advance(500);
    const second = await broker.acceptConnected();
    second.puback(await second.next('publish'));
    await second.next('disconnect');
    await clock.settle();
    expect(closed.value).toEqual({ drained: true });
    expect(result.state).toBe('resolved');
    first.thaw();
  });

  test('a broker that does not close after DISCONNECT holds shutdown up for a second only', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    const closed = watch(loop.shutdown());
    await clock.advance(999);
    expect(closed.state).toBe('pending');
    await clock.advance(1);
    expect(closed.state).toBe('resolved');
    expect(clock.pendingTimers).toBe(0);
  });

  test('a second call gets the first result', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    publish(loop, 1);
    const closed = [loop.shutdown({ drainTimeoutMs: 1_000 }), loop.shutdown({ drainTimeoutMs: 60_000 })].map(watch);
    await clock.advance(1_000);
    expect(closed.map(({ value }) => value)).toEqual([{ drained: false }, { drained: false }]);
    expect(await loop.shutdown()).toEqual({ drained: false });
    expect(names(connection).filter((name) => name === 'disconnect')).toHaveLength(1);
  });

  test('afterwards every call rejects, and iterators have ended', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    await connect();
    const messages = loop.messages();
    const pulled = watch(messages.next());
    void loop.shutdown();
    await clock.settle();
    expect(pulled.value).toMatchObject({ done: true });
    for (const call of [
      () => loop.publish('a', 'x'),
      () => loop.enqueue('a', 'x'),
      () => loop.subscribe('a'),
      () => loop.unsubscribe('a'),
      () => loop.start(),
      () => loop.pause(),
      () => loop.resume(),
      () => loop.reconnect(),
    ]) {
      await expect(call()).rejects.toBeInstanceOf(MqttClosedError);
    }
    expect(() => loop.tryEnqueue('a', 'x')).toThrow(MqttClosedError);
  });

  test('a normal shutdown cancels the will', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion, will: WILL });
    const connection = await connect();
    expect(connection.connectPacket?.will).toMatchObject({ topic: 'status/7', qos: 1 });
    void loop.shutdown();
    expect(await connection.next('disconnect')).toMatchObject(protocolVersion === 5 ? { reasonCode: 0 } : {});
  });
});

test('publishWill on MQTT 5 is DISCONNECT 0x04', async () => {
  const { loop, clock, connect } = scriptedLoop({ will: WILL });
  const connection = await connect();
  const closed = watch(loop.shutdown({ publishWill: true }));
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x04 });
  await connection.closed();
  await clock.settle();
  expect(closed.state).toBe('resolved');
});

test('publishWill on MQTT 3.1.1 is the end of the connection without DISCONNECT', async () => {
  const { loop, clock, connect } = scriptedLoop({ protocolVersion: 4, will: WILL });
  const connection = await connect();
  const result = publish(loop, 1);
  const closed = watch(loop.shutdown({ publishWill: true }));
  connection.puback(await connection.next('publish'));
  await connection.closed();
  await clock.settle();
  expect(closed.value).toEqual({ drained: true });
  expect(result.state).toBe('resolved');
  expect(names(connection)).toEqual(['connect', 'publish']);
});

test.each([{ drainTimeoutMs: -1 }, { drainTimeoutMs: Number.NaN }, { publishWill: 'yes' }])(
  'shutdown(%j) is rejected and closes nothing',
  async (options) => {
    const { loop, clock, connect } = scriptedLoop();
    const connection = await connect();
    await expect(loop.shutdown(options as never)).rejects.toMatchObject({ code: 'MQTT_INVALID_ARGUMENT' });
    await connection.nothing(clock);
    expect(loop.status).toBe('connected');
  },
);
