import type { EventLoopOptions, IncomingMessage } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

describe.each([4, 5] as const)('messages of a server of version %i', (protocolVersion) => {
  async function listening(options: EventLoopOptions = {}) {
    const it = scriptedLoop({ protocolVersion, ...options });
    const delivered: string[] = [];
    const waiting: (() => void)[] = [];
    it.loop.onMessage(({ payload }) => {
      delivered.push(payload.toString());
      if (payload.toString().startsWith('slow')) return new Promise<void>((resolve) => waiting.push(resolve));
      return undefined;
    });
    const finish = (): void => waiting.splice(0).forEach((resolve) => resolve());
    return { ...it, delivered, finish, connection: await it.connect() };
  }

  test('[MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] each QoS has its answer, under the identifier of the message', async () => {
    const { connection, clock, delivered } = await listening();
    connection.publish({ topic: 'a', payload: '0' });
    connection.publish({ topic: 'a', payload: '1', qos: 1, messageId: 65_535 });
    connection.publish({ topic: 'a', payload: '2', qos: 2, messageId: 1 });
    expect(await connection.next('puback')).toMatchObject({ messageId: 65_535 });
    expect(await connection.next('pubrec')).toMatchObject({ messageId: 1 });
    await connection.nothing(clock);
    expect(delivered).toEqual(['0', '1', '2']);
  });

  test('[MQTT-3.3.2-3] [MQTT-4.5.0-2] a message that no subscription of ours asked for is handed over and acknowledged', async () => {
    const { connection, delivered } = await listening();
    connection.publish({ topic: 'never/subscribed', payload: '1', qos: 1, messageId: 1 });
    connection.publish({ topic: 'never/subscribed', payload: '2', qos: 2, messageId: 2 });
    await connection.next('puback');
    await connection.next('pubrec');
    expect(delivered).toEqual(['1', '2']);
  });

  test('[MQTT-4.5.0-2] so is one that its handler throws away', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    loop.onMessage(() => {
      throw new Error('not wanted');
    });
    const connection = await connect();
    connection.publish({ topic: 'a', qos: 1, messageId: 1 });
    connection.publish({ topic: 'a', qos: 2, messageId: 2 });
    const answers = [await connection.next('puback'), await connection.next('pubrec')];
    expect(answers.map(({ reasonCode }) => reasonCode ?? 0)).toEqual(protocolVersion === 5 ? [0x80, 0x80] : [0, 0]);
  });

  test('[MQTT-4.3.3-10] QoS 2 repeated on the same connection, with DUP or without: acknowledged, not delivered', async () => {
    const { connection, delivered, loop } = await listening();
    for (const dup of [false, false, true]) {
      connection.publish({ topic: 'a', payload: 'one', qos: 2, messageId: 5, dup });
      expect(await connection.next('pubrec')).toMatchObject({ messageId: 5 });
    }
    expect(delivered).toEqual(['one']);
    expect(loop.stats().duplicatesSuppressed).toBe(2);
  });

  test('[MQTT-4.3.2-5] QoS 1 repeated on the same connection before its PUBACK is a message of its own: at least once', async () => {
    const { connection, clock, delivered, finish } = await listening();
    for (const dup of [false, true]) connection.publish({ topic: 'a', payload: 'slow', qos: 1, messageId: 5, dup });
    await clock.settle();
    finish();
    await connection.next('puback');
    await connection.next('puback');
    expect(delivered).toEqual(['slow', 'slow']);
  });

  test('[MQTT-2.2.1-4] [MQTT-4.3.2-5] QoS 1 under the identifier of an open QoS 2 message: both are delivered, neither loses its answer', async () => {
    const { connection, delivered, disconnected } = await listening();
    connection.publish({ topic: 'a', payload: 'two', qos: 2, messageId: 5 });
    await connection.next('pubrec');
    connection.publish({ topic: 'a', payload: 'one', qos: 1, messageId: 5 });
    expect(await connection.next('puback')).toMatchObject({ messageId: 5 });
    // The QoS 2 exchange is as it was: a repeat is known, its PUBREL completes it.
    connection.publish({ topic: 'a', payload: 'two', qos: 2, messageId: 5, dup: true });
    await connection.next('pubrec');
    connection.pubrel(5);
    expect((await connection.next('pubcomp')).reasonCode ?? 0).toBe(0);
    expect(delivered).toEqual(['two', 'one']);
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-2.2.1-4] QoS 2 under the identifier of an unacknowledged QoS 1 message: both are delivered, answered in order', async () => {
    const { connection, clock, delivered, finish, disconnected } = await listening();
    connection.publish({ topic: 'a', payload: 'slow one', qos: 1, messageId: 5 });
    connection.publish({ topic: 'a', payload: 'two', qos: 2, messageId: 5 });
    await connection.nothing(clock);
    finish();
    expect(await connection.next('puback')).toMatchObject({ messageId: 5 });
    expect(await connection.next('pubrec')).toMatchObject({ messageId: 5 });
    connection.pubrel(5);
    expect((await connection.next('pubcomp')).reasonCode ?? 0).toBe(0);
    expect(delivered).toEqual(['slow one', 'two']);
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-4.3.3-11] [MQTT-4.3.3-12] PUBREL is always answered, and afterwards its identifier is new', async () => {
    const { connection, delivered, loop } = await listening();
    for (const payload of ['one', 'two']) {
      connection.publish({ topic: 'a', payload, qos: 2, messageId: 5, dup: payload === 'two' });
      await connection.next('pubrec');
      connection.pubrel(5);
      expect((await connection.next('pubcomp')).reasonCode ?? 0).toBe(0);
    }
    expect(delivered).toEqual(['one', 'two']);
    connection.pubrel(5);
    expect((await connection.next('pubcomp')).reasonCode ?? 0).toBe(protocolVersion === 5 ? 0x92 : 0);
    expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 1, connected: true });
  });

  test('[MQTT-4.3.3-13] the exchange goes on when the message has expired meanwhile', async () => {
    const { connection, clock, finish } = await listening({ keepAliveSeconds: 0 });
    const properties = { messageExpiryInterval: 1 };
    connection.publish({ topic: 'a', payload: 'slow', qos: 2, messageId: 5, properties });
    await clock.advance(60_000);
    finish();
    await connection.next('pubrec');
    await clock.advance(60_000);
    connection.pubrel(5);
    expect((await connection.next('pubcomp')).reasonCode ?? 0).toBe(0);
  });
});

test('[MQTT-3.3.2-14] MQTT 5: a Response Topic with wildcards is handed over as it came: other clients must not be able to end our connection', async () => {
  const { loop, connect, disconnected } = scriptedLoop();
  const messages: IncomingMessage[] = [];
  loop.onMessage((message) => void messages.push(message));
  const connection = await connect();
  connection.publish({ topic: 'a', qos: 1, messageId: 1, properties: { responseTopic: 'reply/#' } });
  await connection.next('puback');
  expect(messages).toMatchObject([{ properties: { responseTopic: 'reply/#' } }]);
  // To answer there is what fails, and it fails alone.
  await expect(loop.publish('reply/#', 'x')).rejects.toMatchObject({ code: 'MQTT_INVALID_ARGUMENT' });
  expect(disconnected).toEqual([]);
});

test('[MQTT-4.8.0-2 of 3.1.1] what we cannot take any more of ends the connection, and the next one gets it again', async () => {
  const { loop, broker, clock, connect, disconnected } = scriptedLoop({
    protocolVersion: 4,
    clean: false,
    receiveMaximum: 1,
    incomingCapacityBytes: 1_024,
    reconnect: { minDelayMs: 1_000, jitter: 'none' },
  });
  loop.onMessage(() => new Promise(() => {}));
  const first = await connect();
  // While an answer is due we have to read on, and MQTT 3.1.1 has no Receive Maximum.
  loop.publish('a', 'x', { qos: 1 }).catch(() => {});
  await first.next('publish');
  for (let messageId = 1; messageId <= 3; messageId++) {
    first.publish({ topic: 'a', qos: 1, messageId, payload: Buffer.alloc(600) });
  }
  await first.closed();
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECTION_LOST' }, willRetryInMs: 1_000 }]);
  await clock.advance(1_000);
  await broker.acceptConnected({ sessionPresent: true });
});
