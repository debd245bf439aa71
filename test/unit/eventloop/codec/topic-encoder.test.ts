import { expect, test } from 'vitest';
import { TopicEncoder } from '../../../../lib/eventloop/codec/topic-encoder.js';
import { MqttArgumentError } from '../../../../lib/eventloop/errors.js';

test('a topic is the same bytes every time, remembered or not', () => {
  const topics = new TopicEncoder();
  const names = ['a', 'plant/7/state', 'ü/雪/🚀', '$own', 'x'.repeat(65_535)];
  for (let round = 0; round < 20; round++)
    for (const name of names) expect(topics.encode(name).equals(Buffer.from(name))).toBe(true);
});

test('tells 30 000 topics apart, although it remembers far fewer', () => {
  const topics = new TopicEncoder();
  const wrong: string[] = [];
  for (let i = 0; i < 90_000; i++) {
    const name = `plants/${i % 30_000}/state`;
    if (topics.encode(name).toString() !== name) wrong.push(name);
  }
  expect(wrong).toEqual([]);
});

test('what may not be published to is refused every time', () => {
  const topics = new TopicEncoder();
  for (let round = 0; round < 20; round++) {
    for (const name of ['', 'a/+', '#', 'a\0b', '\ud800', 'x'.repeat(65_536)])
      expect(() => topics.encode(name)).toThrow(MqttArgumentError);
  }
});
