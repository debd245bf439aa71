import { describe, expect, test } from 'vitest';
import { MqttProtocolError } from '../../../../lib/eventloop/connection-errors.js';
import { TopicCache } from '../../../../lib/eventloop/codec/topic-cache.js';

describe('the topic cache', () => {
  test('gives back what was put in, again and again, wherever it lies in the buffer', () => {
    const cache = new TopicCache();
    for (const topic of [
      'a',
      'a/b',
      '/',
      ' ',
      'ü/雪/😀',
      '$SYS/x',
      'x'.repeat(256),
      'x'.repeat(257),
      'y'.repeat(65_535),
    ]) {
      for (const offset of [0, 3, 0]) expect(decode(cache, topic, offset)).toBe(topic);
    }
  });

  test('tells 20 000 topics apart, although it has far fewer places', () => {
    const cache = new TopicCache();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 20_000; i++) {
        const topic = `plant/${i % 97}/sensor/${i}`;
        if (decode(cache, topic) !== topic) throw new Error(`${topic} came out as ${decode(cache, topic)}`);
      }
    }
    expect(decode(cache, 'plant/0/sensor/0')).toBe('plant/0/sensor/0');
  });

  test.each([4, 5, 6, 7, 8, 11])(
    'tells topics of %i bytes apart that differ in one byte, more than it has places',
    (length) => {
      const cache = new TopicCache();
      const letters = Array.from({ length: 90 }, (_, code) => String.fromCharCode(0x30 + code));
      const topics = Array.from({ length }, (_, at) =>
        letters.map((letter) => '-'.repeat(at) + letter + '-'.repeat(length - at - 1)),
      ).flat();
      for (let round = 0; round < 3; round++) expect(topics.map((topic) => decode(cache, topic))).toEqual(topics);
    },
  );

  test('tells topics apart that begin alike', () => {
    const cache = new TopicCache();
    for (const topic of ['a/b/c', 'a/b', 'a', 'a/b/c/d']) expect(decode(cache, topic)).toBe(topic);
    for (const topic of ['a/b/c/d', 'a', 'a/b', 'a/b/c']) expect(decode(cache, topic)).toBe(topic);
  });

  test('tells a topic from a longer one in the same place that begins with it', () => {
    const cache = new TopicCache();
    for (let i = 0; i < 5_000; i++) {
      decode(cache, `plant/${i}`);
      if (decode(cache, 'plant') !== 'plant') throw new Error(`"plant" came out as plant/${i}`);
    }
    expect(decode(cache, 'plant')).toBe('plant');
  });

  test('is not changed by what happens to the buffer afterwards', () => {
    const cache = new TopicCache();
    const buffer = Buffer.from('abcd');
    expect(cache.decode(viewOf(buffer), 0, 4)).toBe('abcd');
    buffer.fill('x');
    expect(decode(cache, 'abcd')).toBe('abcd');
    expect(cache.decode(viewOf(buffer), 0, 4)).toBe('xxxx');
  });

  test.each([
    ['a wildcard +', Buffer.from('a/+'), 0x90],
    ['a wildcard #', Buffer.from('#'), 0x90],
    ['NUL', Buffer.from('a\0b'), 0x81],
    ['a lone continuation byte', Buffer.from([0x61, 0x80]), 0x81],
    ['a sequence that breaks off', Buffer.from([0x61, 0xe9, 0x9b]), 0x81],
    ['an overlong form', Buffer.from([0xc0, 0xaf]), 0x81],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80]), 0x81],
    ['a code point that is none', Buffer.from([0xf5, 0x80, 0x80, 0x80]), 0x81],
  ])('refuses %s every time, short or long', (_what, bytes, reasonCode) => {
    const cache = new TopicCache();
    for (const topic of [bytes, bytes, Buffer.concat([Buffer.alloc(300, 'a'), bytes])]) {
      const attempt = (): string => cache.decode(viewOf(topic), 0, topic.length);
      expect(attempt).toThrow(MqttProtocolError);
      expect(attempt).toThrow(expect.objectContaining({ reasonCode }));
    }
    expect(decode(cache, 'still/works')).toBe('still/works');
  });
});

function decode(cache: TopicCache, topic: string, offset = 0): string {
  const bytes = Buffer.concat([Buffer.alloc(offset, 0xff), Buffer.from(topic), Buffer.from([0xff])]);
  return cache.decode(viewOf(bytes), offset, bytes.length - 1);
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}
