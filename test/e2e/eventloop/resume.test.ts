import type { EventLoop, EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import type { ReceivedPacket, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch, type Watched } from '../../fixtures/watch.js';

const RECONNECTS_AT_ONCE = { jitter: 'none', minDelayMs: 1, factor: 1 } as const;

function publish(loop: EventLoop, index: number, qos: 0 | 1 | 2 = 1): Watched<unknown> {
  return watch(loop.publish('hello/world', Buffer.from([index, 1, 2, 3]), { qos }));
}

const index = ({ payload }: ReceivedPacket<'publish'>): number => payload[0]!;

/** Reads publishes and says what each was: `5` new, `5 again` with DUP. */
async function nextPublishes(connection: ScriptedConnection, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const packet = await connection.next('publish');
    seen.push(`${index(packet)}${packet.dup ? ' again' : ''}`);
  }
  return seen;
}

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  const options: EventLoopOptions = {
    protocolVersion,
    clean: false,
    keepAliveSeconds: 5,
    reconnect: RECONNECTS_AT_ONCE,
  };

  test('R12: what was acknowledged before the loss is not sent again in the resumed session', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    const results: Watched<unknown>[] = [];
    for (let i = 1; i <= 2; i++) {
      results.push(publish(loop, i));
      const packet = await first.next('publish');
      expect(index(packet)).toBe(i);
      first.puback(packet);
      await clock.advance(1_000);
    }
    first.end();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    second.autoPing = true;
    for (let i = 3; i <= 10; i++) {
      results.push(publish(loop, i));
      const packet = await second.next('publish');
      expect(packet).toMatchObject({ dup: false });
      expect(index(packet)).toBe(i);
      second.puback(packet);
      await clock.advance(1_000);
    }
    expect(results.map(({ state }) => state)).toEqual(Array(10).fill('resolved'));
  });

  test('R13: what was not acknowledged comes first, in order, with DUP and its identifiers', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    publish(loop, 1);
    publish(loop, 2);
    const ids = [(await first.next('publish')).messageId, (await first.next('publish')).messageId];
    first.end();
    await clock.settle();
    for (let i = 3; i <= 6; i++) publish(loop, i);
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    const resent = [await second.next('publish'), await second.next('publish')];
    expect(resent.map(({ dup, messageId }) => [dup, messageId])).toEqual(ids.map((id) => [true, id]));
    expect(resent.map(index)).toEqual([1, 2]);
    expect(await nextPublishes(second, 4)).toEqual(['3', '4', '5', '6']);
  });

  test('[MQTT-4.6.0-1] the order of first sending survives losses in the middle of a resend', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...options, inflight: 10, throttle: 10 });
    const first = await connect();
    for (let i = 1; i <= 10; i++) publish(loop, i);
    await clock.advance(900);
    await nextPublishes(first, 10);
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    await clock.advance(499);
    expect(await nextPublishes(second, 5)).toEqual(['1 again', '2 again', '3 again', '4 again', '5 again']);
    await second.nothing();
    second.cut();
    await clock.advance(1);
    const third = await broker.acceptConnected({ sessionPresent: true });
    await clock.advance(1_100);
    expect(await nextPublishes(third, 10)).toEqual(Array.from({ length: 10 }, (_, i) => `${i + 1} again`));
  });

  test('acknowledgements out of order leave only what is open to be resent', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...options, inflight: 4 });
    const first = await connect();
    for (let i = 1; i <= 8; i++) publish(loop, i);
    for (let i = 1; i <= 4; i++) {
      const packet = await first.next('publish');
      if (i === 2) first.puback(packet);
    }
    expect(await nextPublishes(first, 1)).toEqual(['5']);
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    expect(await nextPublishes(second, 4)).toEqual(['1 again', '3 again', '4 again', '5 again']);
    await second.nothing(clock);
  });

  test('an exchange past PUBREC goes on with PUBREL under its identifier, never with PUBLISH', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...options, inflight: 2 });
    const first = await connect();
    const results = [publish(loop, 1, 2), publish(loop, 2, 2), publish(loop, 3, 2)];
    const packet = await first.next('publish');
    await first.next('publish');
    first.pubrec(packet);
    await first.next('pubrel');
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    const release = await second.next('pubrel');
    expect(release.messageId).toBe(packet.messageId);
    expect(await nextPublishes(second, 1)).toEqual(['2 again']);
    // Both slots are taken.
    await second.nothing(clock);
    second.pubcomp(release);
    expect(await nextPublishes(second, 1)).toEqual(['3']);
    expect(results[0]!.state).toBe('resolved');
  });

  test('[MQTT-4.3.2-2] [MQTT-3.2.2-5] the broker has lost the session: unacknowledged publishes start over as new ones, nothing is lost', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...options, inflight: 3 });
    const first = await connect();
    const results = [1, 2, 3, 4, 5].map((i) => publish(loop, i));
    await nextPublishes(first, 3);
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: false });
    for (let i = 1; i <= 5; i++) {
      const packet = await second.next('publish');
      expect([index(packet), packet.dup]).toEqual([i, false]);
      second.puback(packet);
    }
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(Array(5).fill('resolved'));
    await second.nothing();
  });

  test('the broker has lost the session: an exchange past PUBREC is complete', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    const result = publish(loop, 1, 2);
    first.pubrec(await first.next('publish'));
    await first.next('pubrel');
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: false });
    await second.nothing(clock);
    expect(result.state).toBe('resolved');
    expect(loop.stats().inflight).toBe(0);
  });

  test('the broker has lost the session: subscriptions are made again before any publish', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    void loop.subscribe({ 'a/+': { qos: 1 }, 'b/#': { qos: 2 } });
    first.suback(await first.next('subscribe'));
    void loop.subscribe('c').catch(() => {});
    first.suback(await first.next('subscribe'));
    void loop.unsubscribe('c');
    first.unsuback(await first.next('unsubscribe'));
    publish(loop, 1);
    await first.next('publish');
    first.cut();
    await clock.settle();
    publish(loop, 2, 0);
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: false });
    const again = await second.next('subscribe');
    expect(again.subscriptions).toMatchObject([
      { topic: 'a/+', qos: 1 },
      { topic: 'b/#', qos: 2 },
    ]);
    expect(await nextPublishes(second, 2)).toEqual(['1', '2']);
    await second.nothing(clock);
  });

  test('the session is resumed: subscriptions are not made again', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    const subscribed = watch(loop.subscribe('a/+'));
    first.suback(await first.next('subscribe'));
    await clock.settle();
    expect(subscribed.state).toBe('resolved');
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    await second.nothing(clock);
  });

  test.each([true, false])('a SUBSCRIBE that was not answered is made again (session present: %s)', async (present) => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    const subscribed = watch(loop.subscribe('a/+', { qos: 1 }));
    await first.next('subscribe');
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: present });
    second.suback(await second.next('subscribe'));
    await clock.settle();
    expect(subscribed.value).toEqual({ granted: new Map([['a/+', 1]]) });
    await second.nothing();
  });

  test('publishes that wait in the queue survive any number of losses, each sent once', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...options, inflight: 1 });
    let connection = await connect();
    const results = Array.from({ length: 12 }, (_, i) => publish(loop, i + 1, ((i % 2) + 1) as 1 | 2));
    const seen: string[] = [];
    for (let i = 1; i <= 12; i++) {
      const packet = await connection.next('publish');
      seen.push(`${index(packet)}${packet.dup ? ' again' : ''}`);
      if (packet.qos === 1) connection.puback(packet);
      else {
        connection.pubrec(packet);
        connection.pubcomp(await connection.next('pubrel'));
      }
      // The next one is on its way when the link goes.
      if (i < 12) await nextPublishes(connection, 1);
      else await clock.settle();
      connection.cut();
      await clock.advance(1);
      connection = await broker.acceptConnected({ sessionPresent: true });
    }
    expect(seen).toEqual(['1', ...Array.from({ length: 11 }, (_, i) => `${i + 2} again`)]);
    expect(results.map(({ state }) => state)).toEqual(Array(12).fill('resolved'));
  });

  test('QoS 2 that comes in is delivered once across a resumed session', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const delivered: string[] = [];
    loop.onMessage(({ payload }) => void delivered.push(payload.toString()));
    const first = await connect();
    first.publish({ topic: 'in', payload: 'once', qos: 2, messageId: 5 });
    await first.next('pubrec');
    first.cut();
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    second.publish({ topic: 'in', payload: 'once', qos: 2, messageId: 5, dup: true });
    second.pubrel(await second.next('pubrec'));
    await second.next('pubcomp');
    second.publish({ topic: 'in', payload: 'another', qos: 2, messageId: 5 });
    await second.next('pubrec');
    expect(delivered).toEqual(['once', 'another']);
  });

  test('QoS 0: written is complete, what waited goes on the next connection', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    const written = publish(loop, 1, 0);
    await first.next('publish');
    await clock.settle();
    expect(written.state).toBe('resolved');
    first.cut();
    await clock.settle();
    const waiting = publish(loop, 2, 0);
    await clock.advance(1);
    const second = await broker.acceptConnected({ sessionPresent: true });
    expect(await nextPublishes(second, 1)).toEqual(['2']);
    await clock.settle();
    expect(waiting.state).toBe('resolved');
  });

  test('QoS 0 in the middle of a write when the link goes fails as unknown, and is not sent twice', async () => {
    const { loop, broker, clock, connect } = scriptedLoop(options);
    const first = await connect();
    await clock.settle();
    first.freeze();
    const results = [publish(loop, 1, 0), publish(loop, 2, 0)];
    await clock.settle();
    first.cut();
    await clock.advance(1);
    expect(results.map(({ error }) => error)).toMatchObject([
      { code: 'MQTT_CONNECTION_LOST', delivery: 'unknown' },
      { code: 'MQTT_CONNECTION_LOST', delivery: 'unknown' },
    ]);
    const second = await broker.acceptConnected({ sessionPresent: true });
    await second.nothing(clock);
  });
});

test('clean session on 3.1.1: after the loss everything starts over as new', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({
    protocolVersion: 4,
    inflight: 2,
    reconnect: RECONNECTS_AT_ONCE,
  });
  const first = await connect();
  expect(first.connectPacket?.clean).toBe(true);
  publish(loop, 1);
  publish(loop, 2);
  publish(loop, 3);
  await nextPublishes(first, 2);
  first.cut();
  await clock.advance(1);
  const second = await broker.acceptConnected();
  expect(second.connectPacket?.clean).toBe(true);
  expect(await nextPublishes(second, 2)).toEqual(['1', '2']);
  await second.nothing(clock);
});

test('a session that outlives the connection is started clean once and resumed from then on (MQTT 5)', async () => {
  const { broker, clock, connect } = scriptedLoop({ sessionExpirySeconds: 60, reconnect: RECONNECTS_AT_ONCE });
  const first = await connect();
  expect(first.connectPacket).toMatchObject({ clean: true, properties: { sessionExpiryInterval: 60 } });
  first.cut();
  await clock.advance(1);
  const second = await broker.accept();
  expect(await second.connect()).toMatchObject({ clean: false, properties: { sessionExpiryInterval: 60 } });
});

test('[MQTT-3.1.3-2] another client identifier starts clean again: a session the broker has kept under it is not ours', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ clientId: 'one', sessionExpirySeconds: 60 });
  const first = await connect();
  const changed = watch(loop.reconnect({ clientId: 'two' }));
  await first.next('disconnect');
  first.end();
  const second = await broker.acceptConnected();
  expect(second.connectPacket).toMatchObject({ clientId: 'two', clean: true });
  await clock.settle();
  expect(changed.state).toBe('resolved');
});

test('[MQTT-3.1.3-7] [MQTT-3.2.2-16] [MQTT-3.1.3-2] the identifier that the broker assigned is used again, so that its session is found', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ sessionExpirySeconds: 60, reconnect: RECONNECTS_AT_ONCE });
  const first = await connect({ properties: { assignedClientIdentifier: 'assigned' } });
  expect(loop.negotiated?.clientId).toBe('assigned');
  publish(loop, 1);
  await first.next('publish');
  first.cut();
  await clock.advance(1);
  const second = await broker.acceptConnected({ sessionPresent: true });
  expect(second.connectPacket?.clientId).toBe('assigned');
  expect(await nextPublishes(second, 1)).toEqual(['1 again']);
});
