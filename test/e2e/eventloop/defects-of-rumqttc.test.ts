import { MqttNotSupportedError, MqttPacketTooLargeError, MqttProtocolError } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test('RD13: incoming traffic faster than the throttle does not starve resends', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ clean: false, throttle: 1 });
  const first = await connect();
  for (const payload of ['a', 'b', 'c']) void loop.publish('t', payload, { qos: 1 }).catch(() => {});
  await clock.advance(2_000);
  expect(first.received.filter(({ cmd }) => cmd === 'publish')).toHaveLength(3);
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true });
  loop.onMessage(() => {});
  for (let i = 0; i < 30; i++) {
    second.publish({ topic: 'in', payload: String(i) });
    await clock.advance(100);
  }
  const resent = second.received.filter(({ cmd }) => cmd === 'publish');
  expect(resent.map((packet) => packet.cmd === 'publish' && String(packet.payload))).toEqual(['a', 'b', 'c']);
});

test('RD14: a publish that a later server finds too large fails alone; the session goes on', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ clean: false });
  const first = await connect();
  const small = loop.publish('t', 'small', { qos: 1 });
  const large = loop.publish('t', Buffer.alloc(500), { qos: 1 }).catch((error: unknown) => error);
  await first.next('publish');
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true, properties: { maximumPacketSize: 200 } });
  expect(await large).toBeInstanceOf(MqttPacketTooLargeError);
  second.puback(await second.next('publish'));
  expect(await small).toMatchObject({ qos: 1 });
  expect(loop.status).toBe('connected');
  expect(loop.stats().inflight).toBe(0);
});

test('RD16: what one server negotiated does not stick: window, keep alive and packet size are those of the present connection', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ inflight: 50, keepAliveSeconds: 30 });
  const first = await connect({ properties: { receiveMaximum: 2, serverKeepAlive: 0, maximumPacketSize: 1_000 } });
  expect(loop.negotiated).toMatchObject({ inflight: 2, keepAliveSeconds: 0, maxPacketBytes: 1_000 });
  await clock.advance(300_000);
  await first.nothing(clock);
  first.end();
  await clock.advance(1_000);
  const second = await broker.acceptConnected();
  await clock.settle();
  expect(second.connectPacket).toMatchObject({ keepalive: 30 });
  expect(loop.negotiated).toMatchObject({ inflight: 50, keepAliveSeconds: 30, maxPacketBytes: 262_144 });
  await clock.advance(30_000);
  await second.next('pingreq');
});

test('RD17: Maximum QoS and Retain Available are obeyed; what they forbid fails alone and is not sent', async () => {
  const { loop, connect } = scriptedLoop();
  const connection = await connect({ properties: { maximumQoS: 1, retainAvailable: false } });
  await expect(loop.publish('t', 'x', { qos: 2 })).rejects.toThrow(MqttNotSupportedError);
  await expect(loop.publish('t', 'x', { retain: true })).rejects.toThrow(MqttNotSupportedError);
  void loop.publish('t', 'fine', { qos: 1 }).catch(() => {});
  expect(await connection.next()).toMatchObject({ cmd: 'publish', qos: 1, messageId: 1 });
});

test('RD20: by default packets of 256 KiB come in, that limit is announced, and what exceeds it is answered with 0x95', async () => {
  const { loop, connect, clock, disconnected } = scriptedLoop();
  const connection = await connect();
  expect(connection.connectPacket?.properties).toMatchObject({ maximumPacketSize: 262_144 });
  const sizes: number[] = [];
  loop.onMessage(({ payload }) => sizes.push(payload.length));
  connection.publish({ topic: 't', payload: Buffer.alloc(262_144 - 8) });
  await clock.settle();
  expect(sizes).toEqual([262_136]);
  connection.publish({ topic: 't', payload: Buffer.alloc(262_144) });
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x95 });
  await clock.settle();
  expect(disconnected[0]?.cause).toBeInstanceOf(MqttProtocolError);
});

test('RD21: what is published in one turn leaves in one write', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect();
  const before = loop.stats().flushes;
  for (let i = 0; i < 90; i++) void loop.publish('t', 'x', { qos: 1 }).catch(() => {});
  await clock.settle();
  expect(connection.received.filter(({ cmd }) => cmd === 'publish')).toHaveLength(90);
  expect(loop.stats().flushes - before).toBe(1);
});

test('RD24: what the dead connection had brought and nobody had read yet is not delivered after the next one', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ incomingCapacity: 1, clean: false });
  const first = await connect();
  const topics: string[] = [];
  let finish = (): void => {};
  loop.onMessage(({ topic }) => {
    topics.push(topic);
    return new Promise<void>((resolve) => (finish = resolve));
  });
  first.publish({ topic: 'handled' });
  first.publish({ topic: 'unread', qos: 1, messageId: 1 });
  await clock.settle();
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true });
  finish();
  await second.nothing(clock);
  expect(topics).toEqual(['handled']);
});
