import { parser, type Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { PacketType } from '../../../../lib/eventloop/codec/packet-types.js';
import { FLUSH_BYTES, PacketWriter, publishPacketBytes } from '../../../../lib/eventloop/codec/writer.js';
import type { PublishProperties, QoS } from '../../../../lib/eventloop/messages.js';
import { TopicEncoder } from '../../../../lib/eventloop/codec/topic-encoder.js';
import { publishRequest } from '../../../../lib/eventloop/requests.js';
import { newCounters } from '../../../../lib/eventloop/session/counters.js';
import type { PublishExchange } from '../../../../lib/eventloop/session/publish-exchange.js';
import { publish, wire } from './decode-harness.js';

const versions = [4, 5] as const;
const PROPERTIES: PublishProperties = {
  payloadFormatIndicator: true,
  messageExpirySeconds: 4_294_967_295,
  responseTopic: 'reply/ü',
  correlationData: Buffer.from([0, 1, 255]),
  contentType: 'application/json',
  userProperties: { a: '1', list: ['x', 'y'], '': 'empty name' },
};
const WIRE_PROPERTIES = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 4_294_967_295,
  responseTopic: 'reply/ü',
  correlationData: Buffer.from([0, 1, 255]),
  contentType: 'application/json',
  userProperties: { a: '1', list: ['x', 'y'], '': 'empty name' },
};

describe.each(versions)('PUBLISH of version %i is what mqtt-packet writes', (version) => {
  const flags = ([0, 1, 2] as const).flatMap((qos) =>
    [false, true].flatMap((retain) => (qos === 0 ? [false] : [false, true]).map((dup) => ({ qos, retain, dup }))),
  );
  const topics = ['a', 'plant/7/state', 'ü/雪/😀', 'é', '$SYS/x', 't'.repeat(127), '雪'.repeat(5_000)];

  test.each(flags)('with QoS $qos, retain $retain, DUP $dup', ({ qos, retain, dup }) => {
    for (const topic of topics) {
      for (const payload of ['', 'x', Buffer.from([0, 255, 128])]) {
        for (const id of [1, 255, 256, 65_535]) {
          const exchange = request(topic, payload, { qos, retain });
          const fields = { topic, payload, qos, retain, dup, ...(qos > 0 ? { messageId: id } : {}) };
          expectBytes(version, exchange, qos > 0 ? id : 0, dup, publish(version, fields));
        }
      }
    }
  });

  test.each([127, 128, 16_383, 16_384, 2_097_151, 2_097_152])('with a remaining length of %i', (length) => {
    const payload = Buffer.alloc(length - (version === 5 ? 6 : 5), 7);
    const bytes = publish(version, { topic: 'a', payload, qos: 1, messageId: 9 });
    expectBytes(version, request('a', payload, { qos: 1 }), 9, false, bytes);
    const longer = Buffer.concat([payload, Buffer.alloc(2, 7)]);
    expectBytes(version, request('a', longer), 0, false, publish(version, { topic: 'a', payload: longer }));
  });

  test('with every property, which MQTT 3.1.1 leaves out', () => {
    const exchange = request('a', 'x', { qos: 1, properties: PROPERTIES });
    const properties = version === 5 ? { properties: WIRE_PROPERTIES } : {};
    expectBytes(version, exchange, 3, false, publish(version, { topic: 'a', qos: 1, messageId: 3, ...properties }));
  });

  test('with properties of 127, 128, 16 383 and 16 384 bytes', () => {
    for (const length of [127, 128, 16_383, 16_384]) {
      const contentType = 'c'.repeat(length - 3);
      const exchange = request('a', 'x', { properties: { contentType } });
      const properties = version === 5 ? { properties: { contentType } } : {};
      expectBytes(version, exchange, 0, false, publish(version, { topic: 'a', ...properties }));
    }
  });

  test.each([{}, { userProperties: {} }, { contentType: undefined }])('properties %j are none', (properties) => {
    expectBytes(version, request('a', 'x', { properties }), 0, false, publish(version, { topic: 'a' }));
  });
});

test('a topic alias stands before the other properties, with or in place of the topic', () => {
  for (const withTopic of [true, false]) {
    for (const topicAlias of [1, 255, 256, 65_535]) {
      const writer = new PacketWriter();
      writer.publish(
        request('plant/7', 'x', { qos: 1, properties: { contentType: 't' } }),
        3,
        false,
        5,
        topicAlias,
        withTopic,
      );
      const properties = { topicAlias, contentType: 't' };
      const topic = withTopic ? 'plant/7' : '';
      expect(writer.bytes).toEqual(publish(5, { topic, qos: 1, messageId: 3, properties }));
    }
  }
});

describe.each(versions)('acknowledgements of version %i', (version) => {
  test.each([
    ['puback', PacketType.Puback],
    ['pubrec', PacketType.Pubrec],
    ['pubrel', PacketType.Pubrel],
    ['pubcomp', PacketType.Pubcomp],
  ] as const)('%s is what mqtt-packet writes in its short form, and reads', (cmd, type) => {
    for (const messageId of [1, 255, 256, 65_535]) {
      const writer = new PacketWriter();
      writer.acknowledgement(type, messageId, 0);
      // On MQTT 5 mqtt-packet spells out a reason of 0 and an empty property section, which may be left out.
      expect(writer.bytes).toEqual(wire(4, { cmd, messageId }));
      const read: Packet[] = [];
      parser({ protocolVersion: version })
        .on('packet', (packet) => read.push(packet))
        .parse(Buffer.from(writer.bytes));
      expect(read).toMatchObject([{ cmd, messageId }]);
    }
  });

  test('PINGREQ', () => {
    const writer = new PacketWriter();
    writer.pingreq();
    expect(writer.bytes).toEqual(wire(version, { cmd: 'pingreq' }));
  });
});

test.each([
  [PacketType.Puback, 0x80, '40 03 01 02 80'],
  [PacketType.Pubrec, 0x99, '50 03 01 02 99'],
  [PacketType.Pubrel, 0x92, '62 03 01 02 92'],
  [PacketType.Pubcomp, 0x92, '70 03 01 02 92'],
] as const)('MQTT 5: type %i with reason %i says so in three bytes', (type, reasonCode, bytes) => {
  const writer = new PacketWriter();
  writer.acknowledgement(type, 0x0102, reasonCode);
  expect(writer.bytes.toString('hex')).toBe(bytes.replaceAll(' ', ''));
});

describe('the writer', () => {
  test('keeps what it holds while it grows, packet behind packet', () => {
    const writer = new PacketWriter();
    const expected: Buffer[] = [];
    for (let i = 1; i <= 40; i++) {
      const payload = Buffer.alloc(i * 37, i);
      writer.publish(request('a/b', payload, { qos: 1 }), i, false, 5);
      expected.push(publish(5, { topic: 'a/b', payload, qos: 1, messageId: i }));
      writer.pingreq();
      expected.push(Buffer.from([0xc0, 0]));
    }
    expect(Buffer.compare(writer.bytes, Buffer.concat(expected))).toBe(0);
    expect(writer.length).toBe(writer.bytes.length);
  });

  test('takes packets up to the size of one write, and an oversized one only when it is empty', () => {
    const writer = new PacketWriter();
    expect(writer.hasRoom(10 * FLUSH_BYTES)).toBe(true);
    writer.pingreq();
    expect(writer.hasRoom(FLUSH_BYTES - 2)).toBe(true);
    expect(writer.hasRoom(FLUSH_BYTES - 1)).toBe(false);
    writer.reset();
    expect(writer.length).toBe(0);
    expect(writer.hasRoom(10 * FLUSH_BYTES)).toBe(true);
  });

  test('does not keep the buffer of an oversized packet', () => {
    const writer = new PacketWriter();
    writer.raw(Buffer.alloc(10 * FLUSH_BYTES, 1));
    expect(writer.bytes.equals(Buffer.alloc(10 * FLUSH_BYTES, 1))).toBe(true);
    expect(writer.bytes.buffer.byteLength).toBeGreaterThanOrEqual(10 * FLUSH_BYTES);
    writer.reset();
    writer.pingreq();
    expect(writer.bytes.buffer.byteLength).toBe(FLUSH_BYTES);
  });
});

function request(
  topic: string,
  payload: Buffer | string,
  options: { qos?: QoS; retain?: boolean; properties?: PublishProperties } = {},
): PublishExchange {
  return publishRequest(topic, payload, options, 268_435_460, newCounters(), new TopicEncoder());
}

function expectBytes(version: 4 | 5, exchange: PublishExchange, id: number, dup: boolean, expected: Buffer): void {
  const writer = new PacketWriter();
  writer.publish(exchange, id, dup, version);
  expectEqual(writer.bytes, expected);
  expect(publishPacketBytes(exchange, version)).toBe(expected.length);
  if (exchange.qos > 0 || (version === 5 && exchange.encodedProperties !== undefined)) return;
  const plain = new PacketWriter();
  plain.plainPublish(exchange, version);
  expectEqual(plain.bytes, expected);
}

/** Large ones are compared without vitest's element by element equality. */
function expectEqual(bytes: Buffer, expected: Buffer): void {
  expect(
    Buffer.compare(bytes, expected),
    `${bytes.toString('hex', 0, 40)} and ${expected.toString('hex', 0, 40)}`,
  ).toBe(0);
}
