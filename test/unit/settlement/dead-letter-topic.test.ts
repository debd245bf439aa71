import { describe, expect, it } from 'vitest';
import { DeadLetterTopic } from '../../../lib/settlement/dead-letter-topic.js';

describe('a dead letter topic', () => {
  it.each([
    ['dead/{topic}', 'a/b', 'dead/a/b'],
    ['{topic}/dead', 'a/b', 'a/b/dead'],
    ['x/{topic}/y', '', 'x//y'],
    ['dead', 'a/b', 'dead'],
  ])('%s has a place for the topic', (template, topic, expected) => {
    expect(new DeadLetterTopic(template).of(topic)).toBe(expected);
  });

  it.each([
    ['dead/{topic}', 'dead/a', true],
    ['dead/{topic}', 'deaf/a', false],
    ['{topic}/dead', 'a/dead', true],
    ['dead', 'dead', true],
    ['dead', 'dead/a', false],
  ])('%s knows whether %s is a dead letter already: %s', (template, topic, expected) => {
    expect(new DeadLetterTopic(template).covers(topic)).toBe(expected);
  });
});

it('stands under the prefix of its registration, and leaves that out of the topic', () => {
  const topic = new DeadLetterTopic('{topic}/dead').under('site/one');

  expect(topic.template).toBe('site/one/{topic}/dead');
  expect(topic.of('site/one/a')).toBe('site/one/a/dead');
  expect(topic.of('elsewhere')).toBe('site/one/elsewhere/dead');
  expect(topic.covers('site/one/a/dead')).toBe(true);
  expect(topic.covers('a/dead')).toBe(false);
});
