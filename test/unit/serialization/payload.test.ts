import { describe, expect, it } from 'vitest';
import { MqttArgumentError } from '../../../lib/eventloop/errors.js';
import { decodePayload, encodePayload } from '../../../lib/serialization/payload.js';

describe('a payload becomes', () => {
  it.each<[string, unknown]>([
    ['{"a":1}', { a: 1 }],
    [' [1] ', [1]],
    ['"text"', 'text'],
    ['1', 1],
    ['-1.5e3', -1500],
    ['true', true],
    ['false', false],
    ['null', null],
    ['', ''],
    ['text', 'text'],
    ['truely', 'truely'],
    ['0123', '0123'],
    ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00Z'],
    ['{broken', '{broken'],
    ['NaN', 'NaN'],
    ['ünï', 'ünï'],
    ['\u{1f600}', '\u{1f600}'],
  ])('%j: %j', (payload, value) => {
    expect(decodePayload(Buffer.from(payload))).toEqual(value);
  });

  it('the buffer itself where it is no UTF-8', () => {
    const payload = Buffer.from([0xff, 0xfe, 0x00, 0x80]);

    expect(decodePayload(payload)).toBe(payload);
  });

  it('the buffer itself where the content type says that it is bytes', () => {
    const payload = Buffer.from('1');

    expect(decodePayload(payload, 'application/octet-stream')).toBe(payload);
    expect(decodePayload(payload, 'application/json')).toBe(1);
  });

  it.each(['{"__proto__":{"x":1},"a":1}', '{"\\u005f_proto__":1,"a":1}', '{"__pr\\u006Fto__":{},"a":1}'])(
    'an object without a __proto__ key: %s',
    (payload) => {
      const value = decodePayload(Buffer.from(payload));

      expect(value).toEqual({ a: 1 });
      expect(Object.keys(value as object)).toEqual(['a']);
      expect(Object.getPrototypeOf(Object.assign({}, value))).toBe(Object.prototype);
    },
  );

  it('an object without __proto__ keys at any depth, and otherwise as it was', () => {
    const value = decodePayload(Buffer.from('[{"a":{"__proto__":{"x":1},"b":["\\u00fc",{"__proto__":1}]}}]'));

    expect(value).toEqual([{ a: { b: ['ü', {}] } }]);
  });

  it('something, however deep it is nested', () => {
    const depth = 100_000;
    const deep = `${'[['.repeat(depth)}"\\u00fc"${']]'.repeat(depth)}`;

    expect(typeof decodePayload(Buffer.from(deep))).toBe('object');
  });
});

describe('data becomes', () => {
  it.each<[string, unknown, string]>([
    ['text', 'text', 'text'],
    ['JSON-like text', '{"a":1}', '{"a":1}'],
    ['nothing', undefined, ''],
    ['null', null, 'null'],
    ['an object', { a: [1, 'ü'] }, '{"a":[1,"ü"]}'],
    ['a boolean', false, 'false'],
    ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ])('%s', (_name, data, payload) => {
    expect(encodePayload(data)).toBe(payload);
  });

  it('the same bytes for every kind of binary data', () => {
    const bytes = Uint8Array.of(0, 1, 2, 3);

    expect(encodePayload(bytes)).toBe(bytes);
    expect(Buffer.from(encodePayload(bytes.buffer) as Uint8Array)).toEqual(Buffer.from(bytes));
    expect(Buffer.from(encodePayload(new DataView(bytes.buffer, 1, 2)) as Uint8Array)).toEqual(Buffer.of(1, 2));
  });

  it.each<[string, unknown]>([
    ['a BigInt', 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    [
      'a circle',
      (() => {
        const circle: { self?: unknown } = {};
        return (circle.self = circle);
      })(),
    ],
  ])('an error that names the cure: %s', (_name, data) => {
    expect(() => encodePayload(data)).toThrow(MqttArgumentError);
    expect(() => encodePayload(data)).toThrow(
      /invalid data: .*expected bytes, a string or a value that JSON can express/,
    );
  });
});
