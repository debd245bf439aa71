import { MqttProtocolError, MqttServerDisconnectError, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { FORBIDDEN, FORBIDDEN_BEFORE_CONNACK, type ForbiddenPacket } from '../../unit/eventloop/codec/violations.js';

const RECONNECT = { reconnect: { minDelayMs: 1_000, jitter: 'none' } } satisfies EventLoopOptions;
const versions = [4, 5] as const;

describe('after CONNACK', () => {
  test.each(rows(FORBIDDEN))(
    '%s (version %i) closes the connection, with reason %s on MQTT 5, counts, and the loop goes on',
    async (_what, protocolVersion, reason, bytes) => {
      const it = scriptedLoop({ ...RECONNECT, protocolVersion, topicAliasMaximum: 10 });
      const first = await it.connect();
      const published = it.loop.publish('a', 'survives', { qos: 1 });
      await first.next('publish');
      first.send(bytes);
      await expectEnd(first, protocolVersion, Number(reason));
      expect(it.disconnected).toMatchObject([{ willRetryInMs: 1_000, reasonCode: Number(reason) }]);
      expect(it.disconnected[0]!.cause).toBeInstanceOf(MqttProtocolError);
      expect(it.disconnected[0]!.cause).toMatchObject({ reasonCode: Number(reason) });

      await it.clock.advance(1_000);
      const second = await it.broker.acceptConnected();
      second.puback(await second.next('publish'));
      await published;
      expect(it.loop.stats()).toMatchObject({ protocolErrors: 1, connections: 2 });
    },
  );

  test('nothing behind the violation in the same chunk is handled', async () => {
    const { loop, connect } = scriptedLoop();
    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    const connection = await connect();
    connection.send(Buffer.from('3004000161004000300400016200', 'hex'));
    await expectEnd(connection, 5, 0x81);
    expect(topics).toEqual(['a']);
  });

  test.each(versions)(
    'a packet that exceeds maxPacketBytes ends the connection by its header (version %i)',
    async (protocolVersion) => {
      const { loop, connect, disconnected } = scriptedLoop({ protocolVersion, maxPacketBytes: 1_000 });
      const connection = await connect();
      connection.send(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]));
      await expectEnd(connection, protocolVersion, 0x95);
      expect(disconnected).toMatchObject([{ cause: { reasonCode: 0x95 } }]);
      expect(loop.stats().bytesReceived).toBeLessThan(20);
    },
  );
});

describe('in place of CONNACK', () => {
  test.each(rows(FORBIDDEN_BEFORE_CONNACK))(
    '%s (version %i) fails the attempt with %s',
    async (_what, protocolVersion, reason, bytes) => {
      const { loop, broker, connected } = scriptedLoop({ protocolVersion });
      const started = loop.start().catch((error: unknown) => error);
      const connection = await broker.accept();
      await connection.connect();
      connection.send(bytes);
      await connection.closed();
      expect(await started).toBeInstanceOf(MqttProtocolError);
      expect(await started).toMatchObject({ reasonCode: Number(reason) });
      expect(connected).toEqual([]);
      expect(loop.stats()).toMatchObject({ protocolErrors: 1, connectFailures: 1, connections: 0 });
      expect(loop.status).toBe('idle');
    },
  );
});

describe('what does not fit what we have sent', () => {
  test.each(versions)(
    '[MQTT-3.8.4-6] a SUBACK with too few or too many codes ends connection and request (version %i)',
    async (protocolVersion) => {
      for (const granted of [[0], [0, 0, 0]]) {
        const it = scriptedLoop({ ...RECONNECT, protocolVersion });
        const first = await it.connect();
        const subscribed = it.loop.subscribe({ a: {}, b: {} }).catch((error: unknown) => error);
        first.suback(await first.next('subscribe'), granted);
        await expectEnd(first, protocolVersion, 0x82);
        expect(await subscribed).toBeInstanceOf(MqttProtocolError);
        // It does not come back, which would end every later connection too.
        await it.clock.advance(1_000);
        const second = await it.broker.acceptConnected();
        await second.nothing(it.clock);
      }
    },
  );

  test('[MQTT-3.11.3-1] MQTT 5: an UNSUBACK with too few codes ends connection and request', async () => {
    const { loop, connect } = scriptedLoop();
    const connection = await connect();
    const unsubscribed = loop.unsubscribe(['a', 'b']).catch((error: unknown) => error);
    connection.unsuback(await connection.next('unsubscribe'), [0]);
    await expectEnd(connection, 5, 0x82);
    expect(await unsubscribed).toBeInstanceOf(MqttProtocolError);
  });

  test.each(versions)(
    'acknowledgements of nothing are counted and end nothing (version %i)',
    async (protocolVersion) => {
      const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion });
      const connection = await connect();
      const published = loop.publish('a', 'x', { qos: 1 });
      const subscribed = loop.subscribe('a');
      const subscribe = await connection.next('subscribe');
      const publish = await connection.next('publish');
      connection.puback(4_000);
      connection.pubcomp(4_000);
      connection.suback(4_000, [0]);
      connection.unsuback(4_000, [0]);
      // Of a wrong kind.
      connection.puback(subscribe.messageId);
      connection.suback(publish.messageId!, [0]);
      connection.pubrec(publish);
      connection.pubcomp(publish);
      connection.unsuback(subscribe.messageId, [0]);
      await connection.nothing(clock);
      expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 9, protocolErrors: 0, inflight: 1 });
      connection.puback(publish);
      connection.suback(subscribe);
      await Promise.all([published, subscribed]);
      expect(disconnected).toEqual([]);
    },
  );

  test.each([
    [4, 0],
    [5, 0x92],
  ] as const)(
    'a PUBREC of nothing is answered, else the server repeats it for ever (version %i)',
    async (protocolVersion, reasonCode) => {
      const { loop, clock, connect } = scriptedLoop({ protocolVersion });
      const connection = await connect();
      connection.pubrec(4_000);
      const pubrel = await connection.next('pubrel');
      expect([pubrel.messageId, pubrel.reasonCode ?? 0]).toEqual([4_000, reasonCode]);
      connection.pubcomp(pubrel);
      await clock.settle();
      expect(loop.stats().unknownAcknowledgements).toBe(2);
    },
  );

  test('a PUBREC that comes twice is answered with PUBREL twice', async () => {
    const { loop, connect } = scriptedLoop();
    const connection = await connect();
    const published = loop.publish('a', 'x', { qos: 2 });
    const publish = await connection.next('publish');
    for (let time = 1; time <= 2; time++) {
      connection.pubrec(publish);
      expect(await connection.next('pubrel')).toMatchObject({ messageId: publish.messageId });
    }
    connection.pubcomp(publish);
    await expect(published).resolves.toEqual({ qos: 2, reasonCode: 0 });
  });

  test('MQTT 5: AUTH that nobody has asked for is a protocol error', async () => {
    const { connect, disconnected } = scriptedLoop();
    const connection = await connect();
    connection.send(Buffer.from('f0020000', 'hex'));
    await expectEnd(connection, 5, 0x82);
    expect(disconnected[0]!.cause).toBeInstanceOf(MqttProtocolError);
  });
});

test("MQTT 5: the server's DISCONNECT is no violation: its reason is told and the connection is made again", async () => {
  const it = scriptedLoop(RECONNECT);
  const first = await it.connect();
  first.disconnect({ reasonCode: 0x8b, properties: { reasonString: 'update' } });
  await first.closed();
  expect(first.received.map(({ cmd }) => cmd)).toEqual(['connect']);
  expect(it.disconnected).toMatchObject([{ reasonCode: 0x8b, willRetryInMs: 1_000 }]);
  expect(it.disconnected[0]!.cause).toBeInstanceOf(MqttServerDisconnectError);
  expect(it.disconnected[0]!.cause.message).toContain('server shutting down: update');
  await it.clock.advance(1_000);
  await it.broker.acceptConnected();
  expect(it.loop.stats().protocolErrors).toBe(0);
});

function rows(packets: readonly ForbiddenPacket[]): (readonly [string, 4 | 5, string, Buffer])[] {
  return packets.flatMap(([what, of, text, reasonCode]) =>
    of.map(
      (version) =>
        [what, version, `0x${reasonCode.toString(16)}`, Buffer.from(text.replaceAll(' ', ''), 'hex')] as const,
    ),
  );
}

/** MQTT 5 is told why; MQTT 3.1.1 has no words for it. */
async function expectEnd(connection: ScriptedConnection, version: 4 | 5, reasonCode: number): Promise<void> {
  if (version === 5) expect(await connection.next('disconnect')).toMatchObject({ reasonCode });
  await connection.closed();
  expect(connection.received.some(({ cmd }) => cmd === 'disconnect')).toBe(version === 5);
}
