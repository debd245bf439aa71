import { EventLoop, MqttArgumentError, MqttOptionsError, MqttRefusedError } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

const HALF_A_PAIR = '\uD800';
const text = (value: string): Buffer => Buffer.concat([Buffer.from([0, Buffer.byteLength(value)]), Buffer.from(value)]);

describe.each([4, 5] as const)('version %i', (protocolVersion) => {
  test.each([
    ['[MQTT-1.5.4-1]', `a${HALF_A_PAIR}`],
    ['[MQTT-1.5.4-2] [MQTT-4.7.3-2]', 'a\0b'],
    ['[MQTT-4.7.3-3]', 'é'.repeat(32_768)],
  ])('%s text that cannot be sent fails the call it is in, not the connection', async (_id, bad) => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    for (const call of [
      () => loop.publish(bad, 'x'),
      () => loop.publish('a', 'x', { properties: { contentType: bad } }),
      () => loop.publish('a', 'x', { properties: { responseTopic: bad } }),
      () => loop.subscribe(bad),
      () => loop.unsubscribe(bad),
    ])
      await expect(call()).rejects.toThrow(MqttArgumentError);
    for (const options of [
      { clientId: bad },
      { will: { topic: bad, payload: '' } },
      { credentials: { username: bad } },
    ])
      expect(() => new EventLoop(options)).toThrow(MqttOptionsError);
    await connection.nothing(clock);
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-1.5.7-1] so do both halves of a user property', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    await connect();
    for (const userProperties of [{ [HALF_A_PAIR]: 'a' }, { a: HALF_A_PAIR }, { a: ['b', '\0'] }]) {
      await expect(loop.publish('a', 'x', { properties: { userProperties } })).rejects.toThrow(MqttArgumentError);
      await expect(loop.subscribe('a', { userProperties })).rejects.toThrow(MqttArgumentError);
      expect(() => new EventLoop({ userProperties })).toThrow(MqttOptionsError);
    }
  });

  test('[MQTT-1.5.4-3] U+FEFF is a character like any other, in both directions', async () => {
    const { loop, connect, clock } = scriptedLoop({ protocolVersion });
    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    const connection = await connect();
    await loop.publish('\uFEFFa', 'x');
    const { raw } = await connection.next('publish');
    expect(raw.subarray(2, 8)).toEqual(Buffer.from('0004efbbbf61', 'hex'));
    connection.publish({ topic: '\uFEFFa' });
    await clock.settle();
    expect(topics).toEqual(['\uFEFFa']);
  });

  test('[MQTT-3.8.1-1] [MQTT-3.8.3-1] [MQTT-3.8.3-5] SUBSCRIBE on the wire: its flags, UTF-8 filters, reserved bits 0', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const all = { qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 } as const;
    void loop.subscribe({ 'ü/#': all, b: { qos: 1 } }).catch(() => {});
    const { raw, messageId } = await connection.next('subscribe');
    const head = Buffer.from([0x82, raw.length - 2, 0, messageId]);
    expect(raw).toEqual(
      protocolVersion === 5
        ? Buffer.concat([head, Buffer.from([0]), text('ü/#'), Buffer.from([0x2e]), text('b'), Buffer.from([1])])
        : Buffer.concat([head, text('ü/#'), Buffer.from([2]), text('b'), Buffer.from([1])]),
    );
  });

  test('[MQTT-3.10.1-1] [MQTT-3.10.3-1] UNSUBSCRIBE on the wire: its flags, UTF-8 filters', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    void loop.unsubscribe(['ü', 'b']).catch(() => {});
    const { raw, messageId } = await connection.next('unsubscribe');
    const properties = Buffer.alloc(protocolVersion === 5 ? 1 : 0);
    const head = Buffer.from([0xa2, raw.length - 2, 0, messageId]);
    expect(raw).toEqual(Buffer.concat([head, properties, text('ü'), text('b')]));
  });

  test.each([
    ['[MQTT-3.8.3-2] [MQTT-3.10.3-2] no filter at all', [], {}],
    ['[MQTT-4.7.3-1] an empty filter', [''], {}],
    ['[MQTT-4.7.1-1] # beside something or not at the end', ['a#', '#/a', 'a/#/b'], {}],
    ['[MQTT-4.7.1-2] + beside something', ['a+', '+a/b', 'a/+b'], {}],
    ['[MQTT-4.8.2-1] a share without a name', ['$share', '$share/', '$share//a'], {}],
    [
      '[MQTT-4.8.2-2] a share name with wildcards or without a filter',
      ['$share/+/a', '$share/g#/a', '$share/g', '$share/g/'],
      {},
    ],
    ['[MQTT-3.8.3-4] No Local on a shared subscription', ['$share/g/a'], { noLocal: true }],
  ])('%s fails the call alone', async (_what, filters, options) => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    if (filters.length === 0) {
      await expect(loop.subscribe({})).rejects.toThrow(MqttArgumentError);
      await expect(loop.unsubscribe([])).rejects.toThrow(MqttArgumentError);
    }
    for (const filter of filters) {
      await expect(loop.subscribe(filter, options)).rejects.toThrow(MqttArgumentError);
      // One bad filter fails the whole call: there is no half a SUBSCRIBE.
      await expect(loop.subscribe({ good: {}, [filter]: options })).rejects.toThrow(MqttArgumentError);
      if (Object.keys(options).length === 0) await expect(loop.unsubscribe(filter)).rejects.toThrow(MqttArgumentError);
    }
    await connection.nothing(clock);
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-2.2.1-6] [MQTT-3.8.4-2] [MQTT-3.10.4-5] only the SUBACK or UNSUBACK of its own identifier completes a request', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const requests = [loop.subscribe('a'), loop.unsubscribe('b')];
    const subscribe = await connection.next('subscribe');
    const unsubscribe = await connection.next('unsubscribe');
    connection.suback(999, [0]);
    connection.unsuback(999, [0]);
    connection.suback(unsubscribe.messageId, [0]);
    connection.unsuback(subscribe.messageId, [0]);
    connection.puback(subscribe.messageId);
    await clock.settle();
    expect(loop.stats()).toMatchObject({ unknownAcknowledgements: 5, connected: true });
    connection.unsuback(unsubscribe);
    connection.suback(subscribe);
    await Promise.all(requests);
    expect(disconnected).toEqual([]);
  });

  test('[MQTT-3.9.3-1] [MQTT-3.8.4-6] the codes of SUBACK are those of the filters, in order; a refusal fails its filter alone', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const refusals: string[] = [];
    loop.on('subscription-refused', ({ filter }) => void refusals.push(filter));
    const connection = await connect();
    const some = loop.subscribe({ a: { qos: 2 }, b: { qos: 2 }, c: { qos: 2 } }).catch((error: unknown) => error);
    connection.suback(await connection.next('subscribe'), [1, 0x80, 2]);
    expect(await some).toBeInstanceOf(MqttRefusedError);
    expect(await some).toMatchObject({ target: 'b', refused: new Map([['b', 0x80]]) });
    expect(refusals).toEqual(['b']);
    const all = loop.subscribe({ a: { qos: 2 }, c: { qos: 2 } });
    connection.suback(await connection.next('subscribe'), [0, 1]);
    // The server may grant less than was asked for.
    expect(await all).toEqual({
      granted: new Map([
        ['a', 0],
        ['c', 1],
      ]),
    });
  });
});

test('[MQTT-3.11.3-1] MQTT 5: the codes of UNSUBACK are those of the filters, in order', async () => {
  const { loop, connect, disconnected } = scriptedLoop();
  const connection = await connect();
  const refused = loop.unsubscribe(['a', 'b', 'c']).catch((error: unknown) => error);
  connection.unsuback(await connection.next('unsubscribe'), [0, 0x11, 0x87]);
  expect(await refused).toMatchObject({ refused: new Map([['c', 0x87]]) });
  expect(disconnected).toEqual([]);
});
