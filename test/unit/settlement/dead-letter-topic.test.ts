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
