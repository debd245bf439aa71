import { type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

const SESSION = { clean: false, reconnect: { minDelayMs: 1_000, jitter: 'none' } } satisfies EventLoopOptions;
const NOT_SUPPORTED = { code: 'MQTT_NOT_SUPPORTED_BY_SERVER' };
const TOO_LARGE = { code: 'MQTT_PACKET_TOO_LARGE', limitOf: 'server' };

test('[MQTT-3.2.2-11] [MQTT-3.2.2-14] a publish over Maximum QoS or with retain where there is none fails alone', async () => {
  const { loop, clock, connect, disconnected } = scriptedLoop();
  const connection = await connect({ properties: { maximumQoS: 1, retainAvailable: false } });
  await expect(loop.publish('a', 'x', { qos: 2 })).rejects.toMatchObject(NOT_SUPPORTED);
  await expect(loop.publish('a', 'x', { retain: true })).rejects.toMatchObject(NOT_SUPPORTED);
  // It still has to take a SUBSCRIBE for QoS 2 [MQTT-3.2.2-10].
  const subscribed = loop.subscribe('a', { qos: 2 });
  connection.suback(await connection.next('subscribe'), [1]);
  await subscribed;
  const allowed = loop.publish('a', 'x', { qos: 1 });
  connection.puback(await connection.next('publish'));
  await allowed;
  await connection.nothing(clock);
  expect(disconnected).toEqual([]);
});

test('[MQTT-3.2.2-11] [MQTT-3.2.2-14] [MQTT-3.2.2-15] what was accepted or sent before obeys the limits of the connection it goes to', async () => {
  const { loop, broker, clock, connect } = scriptedLoop(SESSION);
  const first = await connect();
  const sent = loop.publish('a', 'sent', { qos: 2 }).catch((error: unknown) => error);
  await first.next('publish');
  first.cut();
  await clock.settle();
  const retained = loop.publish('a', 'x', { qos: 1, retain: true }).catch((error: unknown) => error);
  const large = loop.publish('a', 'x'.repeat(100), { qos: 1 }).catch((error: unknown) => error);
  const small = loop.publish('a', 'small', { qos: 1 });
  await clock.advance(1_000);
  const properties = { maximumQoS: 1, retainAvailable: false, maximumPacketSize: 50 };
  const second = await broker.acceptConnected({ sessionPresent: true, properties });
  expect(await second.next('publish')).toMatchObject({ payload: Buffer.from('small') });
  second.puback(2);
  await small;
  expect(await sent).toMatchObject(NOT_SUPPORTED);
  expect(await retained).toMatchObject(NOT_SUPPORTED);
  expect(await large).toMatchObject(TOO_LARGE);
});

test('[MQTT-3.2.2-15] PUBLISH, SUBSCRIBE and UNSUBSCRIBE over the Maximum Packet Size fail alone, to the byte', async () => {
  const { loop, clock, connect, disconnected } = scriptedLoop();
  const connection = await connect({ properties: { maximumPacketSize: 40 } });
  const topic = (packetBytes: number, otherBytes: number): string => 'a'.repeat(packetBytes - otherBytes);
  for (const bytes of [40, 41]) {
    const calls = [
      loop.publish(topic(bytes, 6), 'x'),
      loop.subscribe(topic(bytes, 8)),
      loop.unsubscribe(topic(bytes, 7)),
    ];
    if (bytes > 40) {
      for (const call of calls) await expect(call).rejects.toMatchObject(TOO_LARGE);
      continue;
    }
    const subscribe = await connection.next('subscribe');
    const unsubscribe = await connection.next('unsubscribe');
    const publish = await connection.next('publish');
    expect([subscribe, unsubscribe, publish].map(({ raw }) => raw.length)).toEqual([40, 40, 40]);
    connection.suback(subscribe);
    connection.unsuback(unsubscribe);
    await Promise.all(calls);
  }
  await connection.nothing(clock);
  expect(disconnected).toEqual([]);
});

test('[MQTT-3.3.4-7] [MQTT-4.9.0-1] [MQTT-4.9.0-2] no more publishes than Receive Maximum are open, resent ones among them, whatever the window', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ ...SESSION, inflight: 100 });
  const first = await connect({ properties: { receiveMaximum: 3 } });
  for (let i = 1; i <= 6; i++) loop.publish('a', `${i}`, { qos: i % 2 === 0 ? 2 : 1 }).catch(() => {});
  for (let id = 1; id <= 3; id++) await first.next('publish');
  await first.nothing(clock);
  // PUBREC gives no slot back, PUBCOMP does; so does PUBACK.
  first.pubrec(2);
  await first.next('pubrel');
  await first.nothing(clock);
  first.pubcomp(2);
  expect(await first.next('publish')).toMatchObject({ messageId: 4 });
  first.puback(1);
  expect(await first.next('publish')).toMatchObject({ messageId: 5 });
  await first.nothing(clock);
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true, properties: { receiveMaximum: 1 } });
  expect(await second.next('publish')).toMatchObject({ messageId: 3, dup: true });
  await second.nothing(clock);
  second.puback(3);
  expect(await second.next('publish')).toMatchObject({ messageId: 4, dup: true });
  await second.nothing(clock);
  // A PUBREC that refuses gives it back, too.
  second.pubrec(4, { reasonCode: 0x80 });
  expect(await second.next('publish')).toMatchObject({ messageId: 5, dup: true });
});

test('[MQTT-3.3.4-8] [MQTT-4.9.0-3] with no slot left everything but QoS 1 and 2 publishes goes on, in both directions', async () => {
  const { loop, clock, connect } = scriptedLoop({ keepAliveSeconds: 10 });
  const delivered: string[] = [];
  loop.onMessage(({ topic }) => void delivered.push(topic));
  const connection = await connect({ properties: { receiveMaximum: 1 } });
  for (let i = 1; i <= 2; i++) loop.publish('a', `${i}`, { qos: 2 }).catch(() => {});
  await connection.next('publish');
  void loop.subscribe('a').catch(() => {});
  void loop.unsubscribe('b').catch(() => {});
  connection.publish({ topic: 'one', qos: 1, messageId: 1 });
  connection.publish({ topic: 'two', qos: 2, messageId: 2 });
  connection.pubrel(2);
  connection.pubrec(1);
  await clock.settle();
  expect(connection.received.slice(2).map(({ cmd }) => cmd)).toEqual(
    expect.arrayContaining(['subscribe', 'unsubscribe', 'puback', 'pubrec', 'pubcomp', 'pubrel']),
  );
  await clock.advance(10_000);
  expect(connection.received.at(-1)?.cmd).toBe('pingreq');
  expect(connection.received.filter(({ cmd }) => cmd === 'publish')).toHaveLength(1);
  expect(delivered).toEqual(['one', 'two']);
});
