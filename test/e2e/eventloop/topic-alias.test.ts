import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

const topicAliasMaximum = (maximum: number) => ({ properties: { topicAliasMaximum: maximum } });

test('[MQTT-3.2.2-17] [MQTT-3.3.2-9] [MQTT-3.3.2-8] a repeated topic is sent once, then by its alias, within the server maximum', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect(topicAliasMaximum(2));
  for (const topic of ['plants/one', 'plants/two', 'plants/one', 'plants/two', 'plants/one'])
    void loop.publish(topic, 'x');
  await clock.settle();
  const sent = connection.received.filter((packet) => packet.cmd === 'publish');
  expect(sent.map((packet) => [packet.topic, packet.properties?.topicAlias])).toEqual([
    ['plants/one', 1],
    ['plants/two', 2],
    ['', 1],
    ['', 2],
    ['', 1],
  ]);
});

test('the alias that was not used for the longest time makes room for a new topic', async () => {
  const { loop, clock, connect } = scriptedLoop();
  const connection = await connect(topicAliasMaximum(2));
  for (const topic of ['plants/one', 'plants/two', 'plants/one', 'plants/three', 'plants/one', 'plants/two'])
    void loop.publish(topic, 'x');
  await clock.settle();
  const sent = connection.received.filter((packet) => packet.cmd === 'publish');
  expect(sent.map((packet) => [packet.topic, packet.properties?.topicAlias])).toEqual([
    ['plants/one', 1],
    ['plants/two', 2],
    ['', 1],
    ['plants/three', 2],
    ['', 1],
    ['plants/two', 2],
  ]);
});

test('[MQTT-3.3.2-7] aliases die with the connection, and a resend carries its topic', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ clean: false });
  const first = await connect(topicAliasMaximum(5));
  void loop.publish('plants/one', 'a', { qos: 1 }).catch(() => {});
  void loop.publish('plants/one', 'b', { qos: 1 }).catch(() => {});
  await first.next('publish');
  expect(await first.next('publish')).toMatchObject({ topic: '', properties: { topicAlias: 1 } });
  first.cut();
  await clock.advance(2_000);
  const second = await broker.acceptConnected({ sessionPresent: true, ...topicAliasMaximum(5) });
  for (const payload of ['a', 'b']) {
    const resent = await second.next('publish');
    expect(resent).toMatchObject({ topic: 'plants/one', dup: true, payload: Buffer.from(payload) });
    expect(resent.properties?.topicAlias).toBeUndefined();
  }
  void loop.publish('plants/one', 'c');
  expect(await second.next('publish')).toMatchObject({ topic: 'plants/one', properties: { topicAlias: 1 } });
});

test.each([
  ['the server allows none', {}, 0],
  ['the option turns them off', { topicAliases: 0 }, 10],
])('[MQTT-3.2.2-18] no alias is used when %s', async (_when, options, maximum) => {
  const { loop, connect } = scriptedLoop(options);
  const connection = await connect(topicAliasMaximum(maximum));
  for (let i = 0; i < 2; i++) {
    void loop.publish('plants/one', 'x');
    const publish = await connection.next('publish');
    expect(publish.topic).toBe('plants/one');
    expect(publish.properties?.topicAlias).toBeUndefined();
  }
});

test('a publish that only just fits the Maximum Packet Size goes without an alias', async () => {
  const { loop, connect } = scriptedLoop();
  const connection = await connect({ properties: { topicAliasMaximum: 10, maximumPacketSize: 200 } });
  // 3 of header, 2 + 10 of topic, 1 of property length
  await loop.publish('plants/one', Buffer.alloc(184));
  const publish = await connection.next('publish');
  expect(publish.raw).toHaveLength(200);
  expect(publish.properties?.topicAlias).toBeUndefined();
});

test('aliases stand beside other properties', async () => {
  const { loop, connect } = scriptedLoop();
  const connection = await connect(topicAliasMaximum(10));
  const properties = { contentType: 'text/plain', userProperties: { a: '1' } };
  for (const topic of ['plants/one', '']) {
    void loop.publish('plants/one', 'x', { properties });
    expect(await connection.next('publish')).toMatchObject({
      topic,
      properties: { topicAlias: 1, contentType: 'text/plain', userProperties: { a: '1' } },
    });
  }
});
