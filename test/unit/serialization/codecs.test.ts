import { inspect } from 'node:util';
import { encode as encodeCbor } from 'cborg';
import { encode as encodeMsgpack } from '@msgpack/msgpack';
import type { MqttCodec, MqttCodecName } from 'nestjs-rumqtt';
import { beforeAll, describe, expect, it } from 'vitest';
import { OptionChecks } from '../../../lib/eventloop/option-checks.js';
import type { IncomingMessage, PublishProperties } from '../../../lib/eventloop/messages.js';
import type { PayloadCodec } from '../../../lib/serialization/codec.js';
import { findCodec, loadCodecs, readContentTypeCodecs, selectCodec } from '../../../lib/serialization/codecs.js';
import { PackageCodec } from '../../../lib/serialization/package-codecs.js';
import { CallReader } from '../../../lib/serialization/incoming.js';

const codec = (name: MqttCodecName): PayloadCodec => findCodec(name);
const bytes = (payload: Uint8Array | string): Buffer =>
  typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload);
const decode = (name: MqttCodecName, payload: Uint8Array | string): unknown =>
  codec(name).decode(bytes(payload), undefined);

beforeAll(async () => {
  await loadCodecs([codec('cbor'), codec('msgpack')]);
});

describe('a value comes back as it was', () => {
  const tree = { text: 'grün', list: [1, -2.5, null, true, { deep: [[]] }], empty: {} };

  it.each<[MqttCodecName, unknown]>([
    ['json', tree],
    ['json', 'a string'],
    ['json', null],
    ['json', undefined],
    ['text', '{"not":"parsed"}'],
    ['text', ''],
    ['raw', Buffer.from([0xff, 0x00])],
    ['cbor', tree],
    ['cbor', 'a string'],
    ['cbor', undefined],
    [
      'cbor',
      { at: new Date('2026-01-02T03:04:05.678Z'), large: 2n ** 80n, small: -(2n ** 70n), bin: new Uint8Array([1]) },
    ],
    ['msgpack', tree],
    ['msgpack', undefined],
    ['msgpack', { at: new Date('2026-01-02T03:04:05.678Z'), bin: new Uint8Array([0xff, 0]) }],
  ])('%s: %o', (name, value) => {
    const payload = codec(name).encode(value);

    expect(decode(name, payload)).toEqual(value);
  });

  it.each<MqttCodecName>(['json', 'cbor', 'msgpack'])('%s leaves out what is undefined, as JSON does', (name) => {
    expect(decode(name, codec(name).encode({ a: undefined, b: 1 }))).toEqual({ b: 1 });
  });
});

describe('what a codec cannot express is an argument error with the cure', () => {
  it.each<[MqttCodecName, unknown, RegExp]>([
    ['json', Buffer.from([1]), /codec "raw" takes bytes/],
    ['json', 1n, /JSON can express/],
    ['text', { a: 1 }, /a string, a number or a boolean/],
    ['raw', { a: 1 }, /bytes or a string/],
    ['cbor', { call: () => 1 }, /cbor can express/],
    ['msgpack', { call: () => 1 }, /msgpack can express/],
  ])('%s', (name, value, message) => {
    expect(() => codec(name).encode(value)).toThrow(expect.objectContaining({ code: 'MQTT_INVALID_ARGUMENT' }));
    expect(() => codec(name).encode(value)).toThrow(message);
  });
});

describe('hostile bytes', () => {
  const deep = 1_000_000;
  const nested = (opener: number, depth: number, end: number): Buffer =>
    Buffer.concat([Buffer.alloc(depth, opener), Buffer.from([end])]);

  it.each<[string, MqttCodecName, Uint8Array | string]>([
    ['nothing but an opening', 'json', '{'],
    ['other text', 'json', 'temp=1'],
    ['two values', 'json', '1 2'],
    ['no UTF-8', 'json', Buffer.from([0x22, 0xff, 0x22])],
    ['no UTF-8', 'text', Buffer.from([0xc3, 0x28])],
    ['an array of a million levels', 'cbor', nested(0x81, deep, 0x00)],
    ['a map whose keys are maps, a million levels', 'cbor', nested(0xa1, deep, 0x00)],
    ['tags, a million levels', 'cbor', Buffer.alloc(deep, 0xc2)],
    ['an array of 4 294 967 295 elements', 'cbor', Buffer.from([0x9a, 0xff, 0xff, 0xff, 0xff])],
    ['a string of 4 GiB', 'cbor', Buffer.from([0x7a, 0xff, 0xff, 0xff, 0xff, 0x61])],
    ['a reserved type', 'cbor', Buffer.from([0x1c])],
    ['an unknown tag', 'cbor', Buffer.from([0xd9, 0x52, 0x4a, 0x61, 0x61])],
    ['no date', 'cbor', Buffer.from([0xc0, 0x61, 0x78])],
    ['a date beyond time', 'cbor', Buffer.from([0xc1, 0xfb, 0x7f, 0xef, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    ['a large integer that is text', 'cbor', Buffer.from([0xc2, 0x61, 0x78])],
    ['bytes after the end', 'cbor', Buffer.from([0x01, 0x01])],
    ['bytes after the end', 'msgpack', Buffer.from([0x01, 0x01])],
    ['a type that is never used', 'msgpack', Buffer.from([0xc1])],
    ['an array of 4 294 967 295 elements', 'msgpack', Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])],
    ['a length cut short', 'msgpack', Buffer.from([0xdd, 0xff])],
    ['a string of 4 GiB', 'msgpack', Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff, 0x61])],
    ['arrays of arrays that announce gigabytes', 'msgpack', Buffer.alloc(250_000, Buffer.from([0xdd, 0, 3, 0, 0]))],
    ['a "__proto__" key', 'msgpack', encodeMsgpack(JSON.parse('{"__proto__":{"admin":true}}'))],
  ])('%s: %s is refused', (_what, name, payload) => {
    expect(() => decode(name, payload)).toThrow();
  });

  it.each<[MqttCodecName, (depth: number) => Uint8Array | string]>([
    ['auto', (depth) => '['.repeat(depth) + ']'.repeat(depth)],
    ['json', (depth) => '['.repeat(depth) + ']'.repeat(depth)],
    ['auto', (depth) => '{"__proto__":'.repeat(depth) + '1' + '}'.repeat(depth)],
    ['msgpack', (depth) => nested(0x91, depth, 0x00)],
  ])('%s reads a million levels or refuses them', (name, payloadOf) => {
    const { data, undecodable } = read(name, payloadOf(deep));

    expect(data === undefined ? undecodable?.code : typeof data).toMatch(/object|string|MQTT_UNDECODABLE/);
  });

  it.each<[string, MqttCodecName, Uint8Array | string]>([
    ['as it is', 'json', '{"a":{"__proto__":{"admin":true}},"b":1}'],
    ['with escapes', 'json', '{"a":{"\\u005f_proto__":{"admin":true}},"b":1}'],
    ['in CBOR', 'cbor', encodeCbor(JSON.parse('{"a":{"__proto__":{"admin":true}},"b":1}'))],
  ])('a "__proto__" key does not get through: %s', (_how, name, payload) => {
    const value = decode(name, payload) as { a: object; b: number };

    expect(value).toEqual({ a: {}, b: 1 });
    expect(Object.hasOwn(value.a, '__proto__')).toBe(false);
    expect((Object.assign({}, value.a) as { admin?: boolean }).admin).toBeUndefined();
  });

  it('a string in chunks cannot hide a "__proto__" key in CBOR', () => {
    const chunks = Buffer.concat([Buffer.from([0xa1, 0x7f, 0x64]), Buffer.from('__pr'), Buffer.from([0x65])]);
    const payload = Buffer.concat([chunks, Buffer.from('oto__'), Buffer.from([0xff, 0xa1, 0x61, 0x78, 0x01])]);

    expect(() => decode('cbor', payload)).toThrow();
  });

  it('huge numbers are what the format makes of them', () => {
    expect(decode('json', '1e999')).toBe(Infinity);
    expect(decode('json', '123456789012345678901234567890')).toBe(123456789012345680000000000000);
    expect(decode('cbor', Buffer.concat([Buffer.from([0xc2, 0x5a, 0, 3, 0, 0]), Buffer.alloc(196_608, 0xff)]))).toBe(
      2n ** (196_608n * 8n) - 1n,
    );
    expect(decode('msgpack', Buffer.from([0xcf, 0, 0, 0, 0, 0, 0, 0, 1]))).toBe(1);
  });
});

describe("a codec of one's own", () => {
  const hex: MqttCodec = {
    contentType: 'application/x-hex',
    encode: (value) => Buffer.from(Buffer.from(String(value)).toString('hex')),
    decode: (payload) => Buffer.from(payload.toString(), 'hex').toString(),
  };

  it('writes and reads, and never sees nothing', () => {
    const own = findCodec(hex);

    expect(own.encode('ab')).toEqual(Buffer.from('6162'));
    expect(own.decode(Buffer.from('6162'), undefined)).toBe('ab');
    expect(own.encode(undefined)).toBe('');
    expect(own.decode(Buffer.alloc(0), undefined)).toBeUndefined();
    expect(findCodec(hex)).toBe(own);
  });

  it('has to write bytes', () => {
    const wrong = findCodec({ encode: () => 'text', decode: () => 1 });

    expect(() => wrong.encode(1)).toThrow(/expected a Uint8Array/);
  });

  it.each([
    ['an unknown name', 'protobuf'],
    ['a name that every object has', 'constructor'],
    ['half a codec', { encode: () => new Uint8Array() }],
    ['no content type', { encode: () => new Uint8Array(), decode: () => 1, contentType: '' }],
    ['nothing', null],
  ])('is refused: %s', (_what, option) => {
    expect(() => findCodec(option)).toThrow(/"cbor", "msgpack" or an object with encode/);
  });
});

describe('a codec whose package is not installed', () => {
  const name: string = 'no-such-package-of-anybody';
  const absent = new PackageCodec('x', name, 'application/x', [], () => import(name));

  it('says so, by name and with the cure, when it is loaded and when it is used', async () => {
    const error = expect.objectContaining({
      code: 'MQTT_MISSING_PACKAGE',
      packageName: 'no-such-package-of-anybody',
      message: 'codec "x" needs the package no-such-package-of-anybody: npm install no-such-package-of-anybody',
    });

    await expect(absent.load()).rejects.toThrow(error);
    await expect(absent.load()).rejects.toThrow(error);
    expect(() => absent.encode(1)).toThrow(error);
    expect(() => absent.decode(Buffer.from('1'))).toThrow(error);
  });
});

describe('a content type', () => {
  const checks = new OptionChecks();
  const codecs = readContentTypeCodecs(['json', 'cbor', 'msgpack'], checks)!;

  it.each([
    ['application/json', 'json'],
    ['Application/JSON; charset=utf-8', 'json'],
    ['application/cbor', 'cbor'],
    ['application/x-msgpack', 'msgpack'],
    ['application/octet-stream', undefined],
    ['text/plain', undefined],
    ['', undefined],
    ['__proto__', undefined],
    ['x'.repeat(65_535), undefined],
  ])('%.40s selects %s', (contentType, name) => {
    expect(checks.issues).toEqual([]);
    expect(selectCodec(codecs, contentType)?.name).toBe(name);
  });

  it('selects among those that the options allow, else the handler has its own', () => {
    expect(read('text', '{"a":1}', { contentType: 'application/json' }, codecs).data).toEqual({ a: 1 });
    expect(read('text', '{"a":1}', { contentType: 'application/json' }).data).toBe('{"a":1}');
    expect(read('text', '{"a":1}', { contentType: 'application/xml' }, codecs).data).toBe('{"a":1}');
    expect(read('text', '{', { contentType: 'application/json' }, codecs).undecodable).toMatchObject({
      code: 'MQTT_UNDECODABLE',
      codec: 'json',
      contentType: 'application/json',
    });
  });

  it('is asked of every codec that it is to select', () => {
    const own: MqttCodec = { encode: () => new Uint8Array(), decode: () => 1 };
    const wrong = new OptionChecks();
    readContentTypeCodecs(['auto', own, 'yaml', 'raw'], wrong);
    readContentTypeCodecs('cbor', wrong);

    expect(wrong.issues.map(({ option }) => option)).toEqual([
      'contentTypeCodecs[0]',
      'contentTypeCodecs[1]',
      'contentTypeCodecs[2]',
      'contentTypeCodecs',
    ]);
  });
});

it('an error about a payload does not quote it', () => {
  const { undecodable } = read('json', '{"password":"hunter2"');

  expect(undecodable?.message).toBe('the payload cannot be decoded by codec "json": it is not JSON');
  expect(inspect(undecodable, { depth: 9 })).not.toContain('hunter2');
});

function read(
  name: MqttCodecName,
  payload: Uint8Array | string,
  properties?: PublishProperties,
  selectable?: ReturnType<typeof readContentTypeCodecs>,
) {
  const message = { topic: 't', payload: bytes(payload), qos: 1, properties } as IncomingMessage;
  return new CallReader((pattern) => JSON.stringify(pattern), selectable).read(message, codec(name));
}
