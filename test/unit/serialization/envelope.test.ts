import { describe, expect, it } from 'vitest';
import { readReplyEnvelope, readRequestEnvelope } from '../../../lib/serialization/envelope.js';

const normalize = (pattern: object): string => JSON.stringify(pattern);
const read = (value: unknown, topic = 't') => readRequestEnvelope(value, topic, normalize);

describe('a request envelope', () => {
  it.each([
    ['an event', { pattern: 't', data: 1 }],
    ['a request', { pattern: 't', data: { a: 1 }, id: 'x' }],
    ['a request without data', { pattern: 't', id: 'x' }],
    ['a request with a numeric id', { pattern: 't', data: 1, id: 7 }],
    ['a request of a Nest 12 peer', { pattern: 't', data: 1, id: 'x', metadata: { trace: '1' } }],
    ['a request of ours on MQTT 3.1.1', { pattern: 't', data: 1, id: 'x', replyTo: 'inbox' }],
  ])('is %s', (_name, value) => {
    expect(read(value)).toBe(value);
  });

  it('has the pattern of its topic, in each form', () => {
    expect(read({ pattern: 7, data: 1 }, '7')).toBeDefined();
    expect(read({ pattern: { cmd: 'sum' }, data: 1 }, '{"cmd":"sum"}')).toBeDefined();
    expect(read({ pattern: { cmd: 'other' }, data: 1 }, '{"cmd":"sum"}')).toBeUndefined();
    expect(read({ pattern: { cmd: 'sum' }, data: 1 }, 'sum')).toBeUndefined();
    expect(read({ pattern: '7', data: 1 }, '8')).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ['without a pattern', { data: 1 }],
    ['with id and data only', { id: 'x', data: 1 }],
    ['for another topic', { pattern: 'u', data: 1 }],
    ['with a further key', { pattern: 't', data: 1, unit: 'C' }],
    ['with nothing but a pattern', { pattern: 't' }],
    ['with an id that is no id', { pattern: 't', data: 1, id: {} }],
    ['with a reply topic that is none', { pattern: 't', data: 1, id: 'x', replyTo: 1 }],
    ['with metadata that is none', { pattern: 't', data: 1, metadata: 'x' }],
    ['an array', ['t', 1]],
    ['null', null],
    ['text', 't'],
    ['bytes', Buffer.from('t')],
  ])('is not JSON %s', (_name, value) => {
    expect(read(value)).toBeUndefined();
  });
});

describe('a reply envelope', () => {
  it.each([
    { id: 'x', response: 1 },
    { id: 'x', isDisposed: true },
    { id: 'x', err: 'no', status: 'error' },
  ])('is %j', (value) => {
    expect(readReplyEnvelope(value)).toBe(value);
  });

  it.each([{ response: 1 }, { id: 'x', response: 1, more: 2 }, ['x'], null, 'x', {}])('is not %j', (value) => {
    expect(readReplyEnvelope(value)).toBeUndefined();
  });
});
