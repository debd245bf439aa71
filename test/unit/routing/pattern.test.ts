import { describe, expect, it } from 'vitest';
import { MqttArgumentError } from '../../../lib/eventloop/errors.js';
import { parsePattern, readTopicParam, readTopicParams } from '../../../lib/routing/pattern.js';

describe('a declared pattern', () => {
  it.each([
    ['a/b', 'a/b', 'a/b'],
    ['plants/+plant/#rest', 'plants/+/#', 'plants/+/#'],
    ['+/+b/+_c-1', '+/+/+', '+/+/+'],
    ['#', '#', '#'],
    ['$share/g/a/+x', '$share/g/a/+', 'a/+'],
    ['{"cmd":"sum"}', '{"cmd":"sum"}', '{"cmd":"sum"}'],
    ['/+', '/+', '/+'],
  ])('%j subscribes to %j and matches %j', (declared, subscription, filter) => {
    expect(parsePattern(declared)).toMatchObject({ declared, subscription, filter });
  });

  it('joins a group by option as it does in writing', () => {
    expect(parsePattern('a/+x', 'g')).toMatchObject({ subscription: '$share/g/a/+', filter: 'a/+', share: 'g' });
    expect(parsePattern('$share/g/a/+x')).toMatchObject({ subscription: '$share/g/a/+', share: 'g' });
  });

  it.each([
    ['a/+7', undefined, /begins with a letter/],
    ['a/+b c', undefined, /letters, digits/],
    ['a/##', undefined, /letters, digits/],
    ['a/#rest/b', undefined, /only as the last level/],
    ['a/b+', undefined, /stand alone/],
    ['+x/+x', undefined, /"x" occurs twice/],
    ['', undefined, /at least one character/],
    ['$share/g', undefined, /\$share\/group\/filter/],
    ['$share/g/a', 'h', /names its group itself/],
    ['a', 'g/h', /group name without/],
    ['a', '', /group name without/],
    ['a', 'g+', /group name without/],
  ])('%j in group %j is refused', (declared, share, message) => {
    expect(() => parsePattern(declared, share)).toThrow(MqttArgumentError);
    expect(() => parsePattern(declared, share)).toThrow(message);
  });
});

describe('topic parameters', () => {
  it.each([
    ['a/+x/b/#rest', 'a/1/b/c/d', { x: '1', rest: 'c/d' }],
    ['a/+/b/+y', 'a/1/b/2', { 0: '1', y: '2' }],
    ['+x/+y', '/', { x: '', y: '' }],
    ['a/#rest', 'a', { rest: '' }],
    ['a/#rest', 'a/', { rest: '' }],
    ['#all', 'a/b', { all: 'a/b' }],
    ['$share/g/a/+x', 'a/1', { x: '1' }],
    ['a/b', 'a/b', {}],
  ])('of %j in %j', (declared, topic, params) => {
    expect({ ...readTopicParams(parsePattern(declared), topic) }).toEqual(params);
  });

  it('are no way to an object prototype', () => {
    const params = readTopicParams(parsePattern('+__proto__/+constructor'), 'a/b');

    expect(Object.keys(params)).toEqual(['__proto__', 'constructor']);
    expect(params['__proto__']).toBe('a');
    expect(Object.getPrototypeOf(params)).toBeNull();
  });

  it('are read one by one, by name or position', () => {
    const pattern = parsePattern('a/+x/+');

    expect(readTopicParam(pattern, 'a/1/2', 'x')).toBe('1');
    expect(readTopicParam(pattern, 'a/1/2', 0)).toBe('1');
    expect(readTopicParam(pattern, 'a/1/2', 1)).toBe('2');
  });

  it('that the pattern does not declare are an error that names those it does', () => {
    expect(() => readTopicParam(parsePattern('a/+x/+'), 'a/1/2', 'y')).toThrow(
      /"y"; expected one of .* declares: x, 1/,
    );
    expect(() => readTopicParam(parsePattern('a'), 'a', 0)).toThrow(/"a" has none/);
  });
});

describe('the prefix of a registration', () => {
  it('comes before the filter, after the group, and changes no wildcard', () => {
    const pattern = parsePattern('$share/g/+plant/#rest', undefined, 'site/one');

    expect(pattern).toMatchObject({ declared: '$share/g/+plant/#rest', subscription: '$share/g/site/one/+/#' });
    expect({ ...readTopicParams(pattern, 'site/one/fern/a/b') }).toEqual({ plant: 'fern', rest: 'a/b' });
  });

  it.each(['$SYS/x', '$share/g/$SYS/x'])('does not come before %s', (declared) => {
    expect(parsePattern(declared, undefined, 'site').subscription).toBe(declared);
  });
});

it.each(['$share/group', '$share/g', '$share'])('%s shares nothing', (declared) => {
  expect(() => parsePattern(declared)).toThrow(MqttArgumentError);
});
