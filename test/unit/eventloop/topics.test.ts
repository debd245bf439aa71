import { describe, expect, it } from 'vitest';
import { MqttArgumentError } from '../../../lib/eventloop/errors.js';
import { assertTopicFilter, assertTopicName, parseSharedFilter, topicMatches } from '../../../lib/eventloop/topics.js';

describe('U15 topic validation', () => {
  it.each(['+wrong', 'wro#ng', 'w/r/o/n/g+', 'wrong/#/path'])('refuses to publish to %j', (topic) => {
    expect(() => assertTopicName(topic)).toThrow(MqttArgumentError);
  });

  it.each(['wrong/#/filter', 'wrong/wr#ng/filter', 'wrong/filter#', 'wr/o+/ng', 'wr/+o+/ng', 'wron/+g', ''])(
    'refuses the filter %j',
    (filter) => {
      expect(() => assertTopicFilter(filter)).toThrow(MqttArgumentError);
    },
  );

  it.each(['correct/filter/#', 'cor/+/rect/+'])('accepts the filter %j', (filter) => {
    expect(() => assertTopicFilter(filter)).not.toThrow();
  });
});

describe('a topic name', () => {
  it.each(['a', '/', ' ', 'a//b', '$SYS/uptime', '{"cmd":"sum"}', 'ü/雪/😀', 'a'.repeat(65_535)])(
    'may be %.20j',
    (topic) => {
      expect(() => assertTopicName(topic)).not.toThrow();
    },
  );

  it.each([
    ['', 'at least one character'],
    ['a\0b', 'NUL'],
    ['a/\uD800/b', 'surrogate'],
    ['a'.repeat(65_536), '65535 bytes'],
    ['雪'.repeat(21_846), '65535 bytes'],
    ['a/+', 'wildcards'],
    ['#', 'wildcards'],
  ])('must not be %.20j: the error says %j', (topic, cure) => {
    expect(() => assertTopicName(topic)).toThrow(cure);
  });

  it('is limited in bytes, not in characters', () => {
    expect(() => assertTopicName('雪'.repeat(21_845))).not.toThrow();
  });

  it('must be a string even for callers without types', () => {
    expect(() => assertTopicName(undefined as unknown as string, 'will.topic')).toThrow(/invalid will\.topic/);
  });

  it('is reported with its field and value', () => {
    try {
      assertTopicName('a/+/b', 'responseTopic');
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MqttArgumentError);
      expect(error).toMatchObject({ field: 'responseTopic', value: 'a/+/b', code: 'MQTT_INVALID_ARGUMENT' });
    }
  });
});

describe('a topic filter', () => {
  it.each([
    '#',
    '+',
    '/',
    '+/+',
    '/+',
    '/#',
    '//',
    '$SYS/#',
    '$share/g/#',
    '$share/g//',
    '$share/g/a/+/b',
    '$shared/a',
    'a$share',
  ])('may be %j', (filter) => {
    expect(() => assertTopicFilter(filter)).not.toThrow();
  });

  it.each(['#/', '##', '+#', 'a/++', '#a', 'a\0', '\uDC00', '雪'.repeat(21_846)])('must not be %.20j', (filter) => {
    expect(() => assertTopicFilter(filter)).toThrow(MqttArgumentError);
  });

  it.each([
    '$share',
    '$share/',
    '$share/g',
    '$share/g/',
    '$share//a',
    '$share/g+/a',
    '$share/#/a',
    '$share/g/a#',
    '$share/g/#/a',
  ])('must not be the malformed shared subscription %j', (filter) => {
    expect(() => assertTopicFilter(filter)).toThrow(MqttArgumentError);
  });
});

describe('a shared filter', () => {
  it('is taken apart into group and filter', () => {
    expect(parseSharedFilter('$share/g/a/+/b')).toEqual({ group: 'g', filter: 'a/+/b' });
    expect(parseSharedFilter('$share/g//b')).toEqual({ group: 'g', filter: '/b' });
  });

  it('is recognised by its prefix alone', () => {
    expect(parseSharedFilter('a/b')).toBeUndefined();
    expect(parseSharedFilter('$shared/g/a')).toBeUndefined();
  });
});

describe('U16 matching', () => {
  it.each([
    ['$system/+', '$system/metrics'],
    ['sy$tem/+', 'sy$tem/metrics'],
    ['a/b/c/#', 'a/b/c'],
    ['a/+/c/+/e', 'a/b/c/d/e'],
  ])('%j receives %j', (filter, topic) => {
    expect(topicMatches(filter, topic)).toBe(true);
  });

  it.each([
    ['+/+', '$system/metrics'],
    ['a/b/c/d', 'a/b/c'],
    ['a/b/+', 'a/b'],
  ])('%j does not receive %j', (filter, topic) => {
    expect(topicMatches(filter, topic)).toBe(false);
  });
});

describe('[MQTT-4.7.2-1] [MQTT-4.7.3-4] matching', () => {
  it.each([
    ['#', 'a'],
    ['#', '/'],
    ['#', 'a/b/c'],
    ['+', 'a'],
    ['+/+', '/'],
    ['+/+', '/a'],
    ['/+', '/'],
    ['a/+/b', 'a//b'],
    ['a/#', 'a'],
    ['a/#', 'a/'],
    ['a/+/#', 'a/b'],
    ['$SYS/#', '$SYS'],
    ['$SYS/#', '$SYS/broker/uptime'],
    ['$share/g/a/+', 'a/b'],
    ['$share/g/#', 'a'],
    ['+/$SYS', 'a/$SYS'],
  ])('%j receives %j', (filter, topic) => {
    expect(topicMatches(filter, topic)).toBe(true);
  });

  it.each([
    ['#', '$SYS'],
    ['+', '$SYS'],
    ['+/a', '$SYS/a'],
    ['$share/g/#', '$SYS/a'],
    ['$share/g/+/a', '$SYS/a'],
    ['a/#', 'ab'],
    ['a/#', 'ab/c'],
    ['a/+/#', 'a'],
    ['a', 'a/'],
    ['a/', 'a'],
    ['a/b', 'a'],
    ['+', '/a'],
    ['+', 'a/b'],
    ['A', 'a'],
    ['abc', 'ab'],
    ['ab', 'abc'],
  ])('%j does not receive %j', (filter, topic) => {
    expect(topicMatches(filter, topic)).toBe(false);
  });

  it('agrees with a level-by-level reading of the specification', () => {
    const levels = ['', 'a', 'b', '$x'];
    const parts = [...levels, '+'];
    const topics = levels.flatMap((x) => [
      x,
      ...levels.flatMap((y) => [`${x}/${y}`, ...levels.map((z) => `${x}/${y}/${z}`)]),
    ]);
    const exact = parts.flatMap((x) => [
      x,
      ...parts.flatMap((y) => [`${x}/${y}`, ...parts.map((z) => `${x}/${y}/${z}`)]),
    ]);
    const filters = [...exact, '#', ...exact.map((filter) => `${filter}/#`)];
    for (const filter of filters.filter(Boolean)) {
      for (const topic of topics.filter(Boolean)) {
        expect(topicMatches(filter, topic), `${filter} ~ ${topic}`).toBe(
          matchesByLevels(filter.split('/'), topic.split('/')),
        );
      }
    }
  });
});

function matchesByLevels(filter: string[], topic: string[]): boolean {
  if (topic[0]?.startsWith('$') && (filter[0] === '+' || filter[0] === '#')) return false;
  const open = filter.at(-1) === '#';
  const fixed = open ? filter.slice(0, -1) : filter;
  if (open ? topic.length < fixed.length : topic.length !== fixed.length) return false;
  return fixed.every((level, i) => level === '+' || level === topic[i]);
}
