import {
  MqttArgumentError,
  MqttRefusedError,
  type EventLoopOptions,
  type PublishOptions,
} from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';
import { watch } from '../../../fixtures/watch.js';

const SESSION = { clean: false, reconnect: { minDelayMs: 1_000, jitter: 'none' } } satisfies EventLoopOptions;
const ACCEPTED = 0;
const REFUSED = 0x97;

describe.each([4, 5] as const)('publishing on version %i', (protocolVersion) => {
  const none = protocolVersion === 5 ? '00' : '';

  test('[MQTT-2.2.1-2] [MQTT-2.2.2-1] [MQTT-3.3.2-1] [MQTT-4.3.1-1] QoS 0 on the wire: DUP 0, topic first, no identifier, no properties', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    await loop.publish('ü', 'x');
    const { raw } = await connection.next('publish');
    expect(raw.toString('hex')).toBe(`30${protocolVersion === 5 ? '06' : '05'}0002c3bc${none}78`);
  });

  test.each([1, 2] as const)(
    '[MQTT-4.3.2-2] [MQTT-4.3.3-2] QoS %i on the wire: DUP 0, topic, identifier',
    async (qos) => {
      const { loop, connect } = scriptedLoop({ protocolVersion });
      const connection = await connect();
      loop.publish('a', 'x', { qos, retain: true }).catch(() => {});
      const { raw } = await connection.next('publish');
      const flags = { 1: '33', 2: '35' }[qos];
      expect(raw.toString('hex')).toBe(`${flags}${protocolVersion === 5 ? '07' : '06'}0001610001${none}78`);
    },
  );

  test.each([
    ['[MQTT-3.3.2-2] [MQTT-4.7.0-1] a wildcard in the topic', 'a/+', {}],
    ['[MQTT-3.3.2-2] [MQTT-4.7.0-1] a wildcard in the topic', '#', {}],
    ['[MQTT-4.7.3-1] an empty topic', '', {}],
    ['[MQTT-3.3.1-4] QoS 3', 'a', { qos: 3 }],
    ['[MQTT-3.3.2-14] a wildcard in the Response Topic', 'a', { properties: { responseTopic: 'a/#' } }],
    ['[MQTT-3.3.2-13] half a surrogate pair in the Response Topic', 'a', { properties: { responseTopic: '\uD800' } }],
    ['[MQTT-3.3.2-19] U+0000 in the Content Type', 'a', { properties: { contentType: '\0' } }],
  ])('%s fails the call alone', async (_what, topic, options) => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    await expect(loop.publish(topic, 'x', options as PublishOptions)).rejects.toThrow(MqttArgumentError);
    await connection.nothing(clock);
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-3.3.4-6] [MQTT-3.3.1-3] a message that is passed on takes neither its Subscription Identifier nor its DUP along', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    loop.onMessage(({ payload, qos, retain, dup, properties }) =>
      loop.publish('out', payload, { qos, retain, dup, properties } as PublishOptions),
    );
    const connection = await connect();
    const properties = { subscriptionIdentifier: 7, contentType: 'text/plain' };
    connection.publish({ topic: 'in', qos: 1, messageId: 9, dup: true, properties });
    const { dup, properties: sent } = await connection.next('publish');
    expect(dup).toBe(false);
    expect(sent).toEqual(protocolVersion === 5 ? { contentType: 'text/plain' } : undefined);
  });

  test('[MQTT-2.2.1-3] [MQTT-4.3.2-1] [MQTT-4.3.3-1] everything that waits for an answer has an identifier of its own, which is not 0', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const waiting = [loop.publish('a', '1', { qos: 1 }), loop.publish('a', '2', { qos: 2 })];
    const one = await connection.next('publish');
    const two = await connection.next('publish');
    waiting.push(loop.publish('a', '3', { qos: 1 }));
    const three = await connection.next('publish');
    connection.puback(three);
    const subscribed = loop.subscribe('a');
    const subscribe = await connection.next('subscribe');
    const unsubscribed = loop.unsubscribe('b');
    const unsubscribe = await connection.next('unsubscribe');
    // Past PUBREC it is still taken.
    connection.pubrec(two);
    await connection.next('pubrel');
    waiting.push(loop.publish('a', '4', { qos: 2 }));
    const four = await connection.next('publish');
    const open = [one, two, subscribe, unsubscribe, four].map(({ messageId }) => messageId);
    expect(new Set(open).size).toBe(open.length);
    expect(open).not.toContain(0);
    connection.puback(one);
    connection.suback(subscribe);
    connection.unsuback(unsubscribe);
    connection.pubcomp(two);
    connection.pubrec(four);
    connection.pubcomp(await connection.next('pubrel'));
    await Promise.all([...waiting, subscribed, unsubscribed]);
  });

  test('[MQTT-2.2.1-5] [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.3.3-5] a publish waits for the answer to its identifier and its phase', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const one = watch(loop.publish('a', '1', { qos: 1 }));
    const two = watch(loop.publish('a', '2', { qos: 2 }));
    const { messageId: id1 } = await connection.next('publish');
    const { messageId: id2 } = await connection.next('publish');
    // An identifier nobody took, the wrong kind, and the phase after next.
    connection.puback(999);
    connection.pubrec(id1!);
    connection.pubcomp(id1!);
    connection.puback(id2!);
    connection.pubcomp(id2!);
    await connection.nothing(clock);
    expect([one.state, two.state]).toEqual(['pending', 'pending']);
    expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 5, inflight: 2 });
    connection.pubrec(id2!);
    expect(await connection.next('pubrel')).toMatchObject({ messageId: id2 });
    connection.puback(id2!);
    connection.puback(id1!);
    await clock.settle();
    expect([one.state, two.state]).toEqual(['resolved', 'pending']);
    connection.pubcomp(id2!);
    await clock.settle();
    expect(two.state).toBe('resolved');
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-4.3.3-4] [MQTT-4.6.0-4] each PUBREC is answered with its PUBREL, in the order of the PUBRECs', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const published = Array.from({ length: 4 }, () => loop.publish('a', 'x', { qos: 2 }));
    for (let id = 1; id <= 4; id++) await connection.next('publish');
    const order = [3, 1, 4, 2];
    for (const id of order) connection.pubrec(id);
    for (const messageId of order) {
      expect(await connection.next('pubrel')).toMatchObject({ messageId });
      connection.pubcomp(messageId);
    }
    await Promise.all(published);
  });

  test('[MQTT-4.4.0-1] [MQTT-4.1.0-1] nothing is sent again on the same connection, nothing forgotten, however long the answer takes', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 0 });
    loop.onMessage(() => {});
    const connection = await connect();
    const published = ([1, 2, 2] as const).map((qos) => loop.publish('a', 'x', { qos }));
    for (let id = 1; id <= 3; id++) await connection.next('publish');
    connection.pubrec(3);
    await connection.next('pubrel');
    connection.publish({ topic: 'in', qos: 2, messageId: 9 });
    await connection.next('pubrec');
    await clock.advance(24 * 3_600_000);
    await connection.nothing(clock);
    connection.puback(1);
    connection.pubrec(2);
    connection.pubcomp(await connection.next('pubrel'));
    connection.pubcomp(3);
    await Promise.all(published);
    connection.publish({ topic: 'in', qos: 2, messageId: 9, dup: true });
    await connection.next('pubrec');
    expect(loop.stats()).toMatchObject({ duplicatesSuppressed: 1, unknownAcknowledgements: 0 });
  });

  test('[MQTT-4.3.3-7] a message whose expiry has passed is sent again all the same, once it was sent', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ ...SESSION, protocolVersion });
    const first = await connect();
    const published = loop.publish('a', 'x', { qos: 2, properties: { messageExpirySeconds: 1 } });
    await first.next('publish');
    await clock.advance(10_000);
    first.cut();
    await clock.advance(1_000);
    const second = await broker.acceptConnected({ sessionPresent: true });
    const again = await second.next('publish');
    expect(again).toMatchObject({ dup: true, messageId: 1 });
    second.pubrec(again);
    second.pubcomp(await second.next('pubrel'));
    await published;
  });
});

describe('MQTT 5: the server refuses', () => {
  test.each([
    ['PUBACK', 1],
    ['PUBREC', 2],
  ] as const)(
    '[MQTT-4.4.0-2] a publish that %s refuses fails alone, frees its identifier and is never sent again',
    async (_answer, qos) => {
      const { loop, broker, clock, connect, disconnected } = scriptedLoop({ ...SESSION, inflight: 1 });
      const first = await connect();
      const refused = loop.publish('a', 'refused', { qos }).catch((error: unknown) => error);
      const next = loop.publish('a', 'next', { qos: 1 });
      const publish = await first.next('publish');
      if (qos === 1) first.puback(publish, { reasonCode: REFUSED });
      else first.pubrec(publish, { reasonCode: REFUSED });
      expect(await refused).toBeInstanceOf(MqttRefusedError);
      expect(await refused).toMatchObject({ reasonCode: REFUSED });
      expect(await first.next('publish')).toMatchObject({ payload: Buffer.from('next') });
      expect(disconnected).toEqual([]);
      first.cut();
      await clock.advance(1_000);
      const second = await broker.acceptConnected({ sessionPresent: true });
      const resent = await second.next('publish');
      expect(resent).toMatchObject({ payload: Buffer.from('next'), dup: true });
      second.puback(resent);
      await next;
      await second.nothing(clock);
    },
  );

  test('[MQTT-4.3.3-4] a PUBREC that refuses is never answered with PUBREL: known, repeated, late or unknown', async () => {
    const { loop, clock, connect } = scriptedLoop();
    const connection = await connect();
    const refused = loop.publish('a', 'x', { qos: 2 }).catch((error: unknown) => error);
    const publish = await connection.next('publish');
    connection.pubrec(publish, { reasonCode: REFUSED });
    connection.pubrec(publish, { reasonCode: REFUSED });
    connection.pubrec(4_321, { reasonCode: REFUSED });
    await connection.nothing(clock);
    expect(await refused).toBeInstanceOf(MqttRefusedError);

    const accepted = loop.publish('a', 'x', { qos: 2 });
    const second = await connection.next('publish');
    connection.pubrec(second, { reasonCode: ACCEPTED });
    await connection.next('pubrel');
    connection.pubrec(second, { reasonCode: REFUSED });
    await connection.nothing(clock);
    connection.pubcomp(second);
    await accepted;
    expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 3, connected: true });
  });
});
