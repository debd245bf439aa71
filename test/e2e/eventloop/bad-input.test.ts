import { EventLoop, type PublishOptions } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

const LONE_SURROGATE = '\ud800';
const TOO_LONG = 'x'.repeat(65_536);

/** Each is one argument out of place: what it is called in the error, and what the error says about the cure. */
const publishes: [string, unknown, unknown, unknown, string, string][] = [
  // name, topic, payload, options, field, cure
  ['an empty topic', '', 'x', {}, 'topic', 'at least one character'],
  ['a topic that is no string', 5, 'x', {}, 'topic', 'a string'],
  ['a topic with +', 'a/+', 'x', {}, 'topic', 'wildcards'],
  ['a topic with #', 'a/#', 'x', {}, 'topic', 'wildcards'],
  ['a topic with NUL', 'a\0b', 'x', {}, 'topic', 'NUL'],
  ['a topic with half a surrogate pair', `a${LONE_SURROGATE}`, 'x', {}, 'topic', 'well-formed Unicode'],
  ['a topic of more than 65 535 bytes', TOO_LONG, 'x', {}, 'topic', 'at most 65535 bytes'],
  ['a topic of fewer characters but more bytes', 'ü'.repeat(40_000), 'x', {}, 'topic', 'at most 65535 bytes'],
  ['no payload', 'a', undefined, {}, 'payload', 'a string or a Uint8Array'],
  ['a null payload', 'a', null, {}, 'payload', 'a string or a Uint8Array'],
  ['an object as payload', 'a', { a: 1 }, {}, 'payload', 'JSON.stringify'],
  ['a number as payload', 'a', 5, {}, 'payload', 'JSON.stringify'],
  ['an ArrayBuffer as payload', 'a', new ArrayBuffer(4), {}, 'payload', 'a string or a Uint8Array'],
  ['QoS 3', 'a', 'x', { qos: 3 }, 'qos', '0, 1 or 2'],
  ['QoS as text', 'a', 'x', { qos: '1' }, 'qos', '0, 1 or 2'],
  ['QoS 1.5', 'a', 'x', { qos: 1.5 }, 'qos', '0, 1 or 2'],
  ['retain as number', 'a', 'x', { retain: 1 }, 'retain', 'true or false'],
];

const badProperties: [string, object, string, string][] = [
  ['payloadFormatIndicator', { payloadFormatIndicator: 1 }, 'properties.payloadFormatIndicator', 'a boolean'],
  ['a negative messageExpirySeconds', { messageExpirySeconds: -1 }, 'properties.messageExpirySeconds', 'from 0 to'],
  ['messageExpirySeconds 2^32', { messageExpirySeconds: 2 ** 32 }, 'properties.messageExpirySeconds', 'to 4294967295'],
  ['messageExpirySeconds 1.5', { messageExpirySeconds: 1.5 }, 'properties.messageExpirySeconds', 'an integer'],
  ['responseTopic with a wildcard', { responseTopic: 'a/#' }, 'properties.responseTopic', 'wildcards'],
  ['an empty responseTopic', { responseTopic: '' }, 'properties.responseTopic', 'at least one character'],
  ['correlationData as text', { correlationData: 'x' }, 'properties.correlationData', 'a Uint8Array'],
  [
    'too much correlationData',
    { correlationData: Buffer.alloc(65_536) },
    'properties.correlationData',
    'at most 65535',
  ],
  ['contentType with NUL', { contentType: 'a\0' }, 'properties.contentType', 'NUL'],
  ['a user property as number', { userProperties: { a: 1 } }, 'properties.userProperties.a', 'a string'],
  ['a user property in a list', { userProperties: { a: ['b', 1] } }, 'properties.userProperties.a', 'a string'],
  ['a user property too long', { userProperties: { a: TOO_LONG } }, 'properties.userProperties.a', 'at most 65535'],
  ['a user property name', { userProperties: { [LONE_SURROGATE]: 'b' } }, 'properties.userProperties name', 'Unicode'],
];

function refusal(field: string, cure: string): object {
  return expect.objectContaining({
    name: 'MqttArgumentError',
    code: 'MQTT_INVALID_ARGUMENT',
    field,
    message: expect.stringMatching(
      new RegExp(`^invalid ${field.replaceAll('.', '[.]')}: .*; expected .*${cure}`),
    ) as string,
  }) as object;
}

describe('publish', () => {
  test.each([
    ...publishes,
    ...badProperties.map(([name, value, field, cure]) => [name, 'a', 'x', { properties: value }, field, cure] as const),
  ])(
    '%s is refused by name with its cure, before anything is taken',
    async (_name, topic, payload, options, field, cure) => {
      const { loop, clock, connect } = scriptedLoop();
      const connection = await connect();
      const parameters = [topic, payload, { qos: 1, ...(options as object) }] as [string, string, PublishOptions];
      await expect(loop.publish(...parameters)).rejects.toEqual(refusal(field, cure));
      await expect(loop.enqueue(...parameters)).rejects.toEqual(refusal(field, cure));
      expect(() => loop.tryEnqueue(...parameters)).toThrow(refusal(field, cure));
      expect(loop.stats()).toMatchObject({ queued: 0, queuedBytes: 0, waiting: 0, inflight: 0 });
      // The first packet identifier is still free.
      void loop.publish('a', 'good', { qos: 1 }).catch(() => undefined);
      expect(await connection.next('publish')).toMatchObject({ messageId: 1, payload: Buffer.from('good') });
      await connection.nothing(clock);
    },
  );

  test('what fits is taken: the longest topic, an empty payload, views of other arrays, all of Unicode', async () => {
    const { loop, connect } = scriptedLoop();
    const connection = await connect();
    const longest = 'x'.repeat(65_535);
    void loop.publish(longest, '');
    expect(await connection.next('publish')).toMatchObject({ topic: longest, payload: Buffer.alloc(0) });
    void loop.publish('$own/ä/🚀', new Uint8Array([0, 1, 2, 3]).subarray(1, 3));
    expect(await connection.next('publish')).toMatchObject({ topic: '$own/ä/🚀', payload: Buffer.from([1, 2]) });
  });

  test.each([
    ['payload', 1_000 - 9, {}],
    ['properties', 0, { userProperties: { a: 'x'.repeat(1_000) } }],
  ])(
    'a packet over maxPacketBytes because of its %s is refused with both sizes',
    async (_what, payloadBytes, properties) => {
      const { loop } = scriptedLoop({ maxPacketBytes: 1_000 });
      const publish = loop.publish('a', Buffer.alloc(payloadBytes + 2), { qos: 1, properties });
      await expect(publish).rejects.toMatchObject({
        name: 'MqttPacketTooLargeError',
        code: 'MQTT_PACKET_TOO_LARGE',
        limitBytes: 1_000,
        limitOf: 'maxPacketBytes',
        delivery: 'not-sent',
        message: expect.stringMatching(/packet of \d+ bytes exceeds maxPacketBytes \(1000 bytes\)/) as string,
      });
      await expect(loop.enqueue('a', Buffer.alloc(payloadBytes), { qos: 1, properties: {} })).resolves.toBeDefined();
    },
  );
});

describe('subscribe and unsubscribe', () => {
  const filters: [string, unknown, string, string][] = [
    ['an empty filter', '', 'filter', 'at least one character'],
    ['a filter with NUL', 'a\0', 'filter', 'NUL'],
    ['# that is not the last level', 'a/#/b', 'filter', 'last level'],
    ['# within a level', 'a#', 'filter', 'alone between slashes'],
    ['+ within a level', 'a/b+', 'filter', 'alone between slashes'],
    ['half a surrogate pair', LONE_SURROGATE, 'filter', 'Unicode'],
    ['a filter that is too long', TOO_LONG, 'filter', 'at most 65535'],
    ['a share without a filter', '$share/group', 'filter', 'share/group/filter'],
    ['a share without a group', '$share//a', 'filter', 'share/group/filter'],
    ['a share group with a wildcard', '$share/g+/a', 'filter', 'share group without'],
  ];

  test.each(filters)('%s is refused by both', async (_name, filter, field, cure) => {
    const { loop, clock, connect } = scriptedLoop();
    const connection = await connect();
    await expect(loop.subscribe(filter as string)).rejects.toEqual(refusal(field, cure));
    await expect(loop.subscribe({ good: {}, [filter as string]: {} })).rejects.toEqual(refusal(field, cure));
    await expect(loop.unsubscribe(filter as string)).rejects.toEqual(refusal(field, cure));
    await expect(loop.unsubscribe(['good', filter as string])).rejects.toEqual(refusal(field, cure));
    await connection.nothing(clock);
  });

  test.each<[string, unknown, object, string, string]>([
    ['nothing', undefined, {}, 'filter', 'a topic filter'],
    ['a number', 5, {}, 'filter', 'a topic filter'],
    ['no filter at all', {}, {}, 'filter', 'at least one topic filter'],
    ['QoS 3', 'a', { qos: 3 }, 'qos', '0, 1 or 2'],
    ['retainHandling 3', 'a', { retainHandling: 3 }, 'retainHandling', '0, 1 or 2'],
    ['noLocal as number', 'a', { noLocal: 1 }, 'noLocal', 'true or false'],
    ['retainAsPublished as text', 'a', { retainAsPublished: 'yes' }, 'retainAsPublished', 'true or false'],
    ['noLocal on a share', '$share/g/a', { noLocal: true }, 'noLocal', 'false on a shared subscription'],
    ['identifier 0', 'a', { subscriptionIdentifier: 0 }, 'subscriptionIdentifier', 'from 1 to 268435455'],
    ['identifier 2^28', 'a', { subscriptionIdentifier: 2 ** 28 }, 'subscriptionIdentifier', 'from 1 to 268435455'],
    ['a user property', 'a', { userProperties: { a: 1 } }, 'userProperties.a', 'a string'],
  ])('%s is refused by subscribe', async (_name, filter, options, field, cure) => {
    const { loop } = scriptedLoop();
    const subscribed = loop.subscribe(filter as string, options);
    await expect(subscribed).rejects.toEqual(refusal(field, cure));
  });

  test('no filter at all is refused by unsubscribe', async () => {
    const { loop } = scriptedLoop();
    await expect(loop.unsubscribe([])).rejects.toEqual(refusal('filters', 'at least one topic filter'));
    await expect(loop.unsubscribe(undefined as unknown as string)).rejects.toEqual(refusal('filters', 'filter'));
  });
});

test('options that are no object are refused by every operation', async () => {
  const { loop } = scriptedLoop();
  for (const options of [null, 5, 'qos 1'] as unknown as undefined[]) {
    const refused = refusal('options', 'an object; leave it out');
    await expect(loop.publish('a', 'x', options)).rejects.toEqual(refused);
    await expect(loop.enqueue('a', 'x', options)).rejects.toEqual(refused);
    expect(() => loop.tryEnqueue('a', 'x', options)).toThrow(refused);
    await expect(loop.subscribe('a', options)).rejects.toEqual(refused);
    await expect(loop.unsubscribe('a', options)).rejects.toEqual(refused);
  }
});

test('the value is in the error, shortened, and a handler that is none is refused', () => {
  const loop = new EventLoop();
  expect(() => loop.tryEnqueue(`${'long'.repeat(100)}#`, 'x')).toThrow(/^invalid topic: "(long){20}…"; expected/);
  expect(() => loop.onMessage('handler' as unknown as () => void)).toThrow(refusal('handler', 'a function'));
});
