import { MqttKeepAliveTimeoutError, type EventLoop } from 'nestjs-rumqtt/eventloop';
import type { ReceivedPacket, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

const payload = (index: number): Buffer => Buffer.from([index, 1, 2, 3]);

function publish(loop: EventLoop, index: number, qos: 0 | 1 | 2 = 1): Watched<unknown> {
  return watch(loop.publish('hello/world', payload(index), { qos }));
}

async function nextPublishes(connection: ScriptedConnection, count: number): Promise<ReceivedPacket<'publish'>[]> {
  const packets: ReceivedPacket<'publish'>[] = [];
  while (packets.length < count) packets.push(await connection.next('publish'));
  return packets;
}

const indexes = (packets: readonly ReceivedPacket<'publish'>[]): number[] => packets.map(({ payload: [i] }) => i!);

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('R7: with a window of 5 and no acknowledgements the broker sees 5 publishes and then none', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 5, requestCapacity: 5 });
    const connection = await connect();
    for (let i = 1; i <= 10; i++) {
      publish(loop, i);
      await clock.advance(1_000);
    }
    expect(indexes(await nextPublishes(connection, 5))).toEqual([1, 2, 3, 4, 5]);
    for (let wait = 1; wait <= 5; wait++) {
      await clock.advance(2_000);
      await connection.nothing();
    }
    expect(loop.stats()).toMatchObject({ inflight: 5, queued: 5 });
  });

  test('R8: with a window of 3 each acknowledgement lets exactly one more go', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 3 });
    const connection = await connect();
    for (let i = 1; i <= 5; i++) publish(loop, i);
    const [first, second, third] = await nextPublishes(connection, 3);
    expect(indexes([first!, second!, third!])).toEqual([1, 2, 3]);
    await connection.nothing(clock);

    connection.puback(first!);
    expect(indexes([await connection.next('publish')])).toEqual([4]);
    await connection.nothing(clock);
    connection.puback(second!);
    expect(indexes([await connection.next('publish')])).toEqual([5]);
    await connection.nothing(clock);
  });

  test('R9: acknowledgements out of order release their slots at once, under identifiers that are free', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 4 });
    const connection = await connect();
    const results = Array.from({ length: 15 }, (_, i) => publish(loop, i + 1));
    const window = await nextPublishes(connection, 4);
    await connection.nothing(clock);

    // 1 and 2 stay open for five seconds: no identifier collides with them, nothing waits for them.
    connection.puback(window[2]!);
    connection.puback(window[3]!);
    const behind = await nextPublishes(connection, 2);
    expect(indexes(behind)).toEqual([5, 6]);
    expect([window[0]!.messageId, window[1]!.messageId]).not.toContain(behind[0]!.messageId);
    await clock.advance(5_000);
    await connection.nothing();

    connection.puback(window[0]!);
    connection.puback(window[1]!);
    const rest: ReceivedPacket<'publish'>[] = [];
    for (const packet of behind) connection.puback(packet);
    while (rest.length < 9) {
      rest.push(await connection.next('publish'));
      connection.puback(rest.at(-1)!);
    }
    expect(indexes(rest)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15]);
    await connection.nothing(clock);
    expect(results.map(({ state }) => state)).toEqual(Array(15).fill('resolved'));
  });

  test('R10: publishes that are never acknowledged stop neither the others nor the connection', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, inflight: 4, keepAliveSeconds: 5 });
    const connection = await connect();
    connection.autoPing = true;
    const results = Array.from({ length: 20 }, (_, i) => publish(loop, i + 1));
    const window = await nextPublishes(connection, 4);
    connection.puback(window[2]!);
    connection.puback(window[3]!);
    for (let i = 5; i <= 20; i++) {
      await clock.advance(5_000);
      const packet = await connection.next('publish');
      expect(indexes([packet])).toEqual([i]);
      connection.puback(packet);
    }
    await clock.settle();
    expect(disconnected).toEqual([]);
    expect(results.map(({ state }) => state)).toEqual(['pending', 'pending', ...Array(18).fill('resolved')]);
    expect(connection.received.filter(({ cmd }) => cmd === 'pingreq').length).toBeGreaterThanOrEqual(2);
  });

  test('R10: a full window does not keep a dead link from being found', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, inflight: 1, keepAliveSeconds: 5 });
    const connection = await connect();
    publish(loop, 1);
    publish(loop, 2);
    await clock.settle();
    connection.halfOpen();
    await clock.advance(7_500);
    expect(disconnected[0]?.cause).toBeInstanceOf(MqttKeepAliveTimeoutError);
  });

  test('S6: with a window of 50 acknowledgement i at i x 200 ms releases publish 50 + i at that instant', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, inflight: 50 });
    const sentAtMs: number[] = [];
    broker.serve({
      onPublish: (packet, connection) => {
        sentAtMs.push(clock.now());
        clock.startTimer(() => connection.puback(packet), sentAtMs.length * 200 - clock.now());
        return false;
      },
    });
    await loop.start();
    for (let i = 1; i <= 100; i++) {
      publish(loop, i);
      await clock.advance(1);
    }
    await clock.advance(20_100);
    expect(sentAtMs.slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(sentAtMs.slice(50)).toEqual(Array.from({ length: 50 }, (_, i) => (i + 1) * 200));
    expect(loop.stats()).toMatchObject({ publishesCompleted: 100, inflight: 0 });
  });

  test('QoS 2 keeps its slot until PUBCOMP', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const connection = await connect();
    publish(loop, 1, 2);
    publish(loop, 2, 2);
    connection.pubrec(await connection.next('publish'));
    const release = await connection.next('pubrel');
    await connection.nothing(clock);
    connection.pubcomp(release);
    expect(indexes([await connection.next('publish')])).toEqual([2]);
  });

  test('a full window holds back neither subscribe nor unsubscribe', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const connection = await connect();
    publish(loop, 1);
    publish(loop, 2);
    const { messageId } = await connection.next('publish');
    void loop.subscribe('a/b').catch(() => {});
    const subscribe = await connection.next('subscribe');
    expect(subscribe.messageId).not.toBe(messageId);
    void loop.unsubscribe('c/d').catch(() => {});
    expect((await connection.next('unsubscribe')).messageId).not.toBe(messageId);
  });

  test('a full window does not hold back QoS 0, nor the acknowledgements of messages that come in', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const connection = await connect();
    loop.onMessage(() => {});
    publish(loop, 1);
    await connection.next('publish');
    const fast = publish(loop, 2, 0);
    expect(indexes([await connection.next('publish')])).toEqual([2]);
    connection.publish({ topic: 'in', qos: 1, messageId: 7 });
    expect((await connection.next('puback')).messageId).toBe(7);
    await clock.settle();
    expect(fast.state).toBe('resolved');
  });

  test('publishes of every QoS leave in the order of the calls while the window has room', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    for (let i = 1; i <= 9; i++) publish(loop, i, (i % 3) as 0 | 1 | 2);
    expect(indexes(await nextPublishes(connection, 9))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('acknowledgements that match nothing are counted, open no slot and end nothing', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, inflight: 2 });
    const connection = await connect();
    const results = [publish(loop, 1), publish(loop, 2, 2), publish(loop, 3)];
    const [first, second] = await nextPublishes(connection, 2);
    connection.puback(999);
    connection.pubcomp(998);
    // The right identifiers, but not what their QoS is answered with.
    connection.puback(second!);
    connection.pubcomp(second!);
    await connection.nothing(clock);
    expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 4, inflight: 2, queued: 1 });
    expect(results.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending']);

    connection.puback(first!);
    connection.puback(first!);
    expect(indexes([await connection.next('publish')])).toEqual([3]);
    await clock.settle();
    expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 5, inflight: 2 });
    expect(disconnected).toEqual([]);
  });

  test('a publish whose caller gave up keeps its slot and its identifier until the broker answers', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const connection = await connect();
    const timedOut = watch(loop.publish('a', 'x', { qos: 1, timeoutMs: 1_000 }));
    const packet = await connection.next('publish');
    const next = publish(loop, 2);
    await clock.advance(1_000);
    expect(timedOut.error).toMatchObject({ code: 'MQTT_TIMEOUT', delivery: 'unknown' });
    await connection.nothing(clock);
    connection.puback(packet);
    connection.puback(await connection.next('publish'));
    await clock.settle();
    expect(next.state).toBe('resolved');
  });
});

test("the window is the smaller of inflight and the server's Receive Maximum, for this connection", async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ inflight: 5, reconnect: { jitter: 'none' } });
  const first = await connect({ properties: { receiveMaximum: 2 } });
  expect(loop.negotiated?.inflight).toBe(2);
  for (let i = 1; i <= 10; i++) publish(loop, i);
  await nextPublishes(first, 2);
  await first.nothing(clock);
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ properties: { receiveMaximum: 100 } });
  expect(indexes(await nextPublishes(second, 5))).toEqual([1, 2, 3, 4, 5]);
  await second.nothing(clock);
});

test('a PUBREC that refuses gives the slot back', async () => {
  const { loop, connect, clock } = scriptedLoop({ inflight: 1 });
  const connection = await connect();
  const refused = publish(loop, 1, 2);
  publish(loop, 2, 2);
  connection.pubrec(await connection.next('publish'), { reasonCode: 0x97 });
  expect(indexes([await connection.next('publish')])).toEqual([2]);
  await clock.settle();
  expect(refused.error).toMatchObject({ code: 'MQTT_PUBLISH_REFUSED', reasonCode: 0x97 });
});

test('[MQTT-2.2.1-3] identifiers of open exchanges are passed over when the counter comes round', async () => {
  const { loop, broker } = scriptedLoop({ inflight: 1_000, keepAliveSeconds: 0 });
  let held: number | undefined;
  const ids = new Set<number>();
  broker.serve({
    onPublish: ({ messageId }) => {
      if (held === undefined) {
        held = messageId;
        return false;
      }
      ids.add(messageId!);
      return true;
    },
  });
  await loop.start();
  publish(loop, 0);
  const burst = 1_000;
  for (let sent = 0; sent < 65_600; sent += burst) {
    await Promise.all(Array.from({ length: burst }, () => loop.publish('a', '', { qos: 1 })));
  }
  expect(ids.has(held!)).toBe(false);
  expect(ids.size).toBe(65_534);
});
