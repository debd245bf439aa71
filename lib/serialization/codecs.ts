import { MqttArgumentError } from '../eventloop/errors.js';
import type { OptionChecks } from '../eventloop/option-checks.js';
import type { MqttCodec, MqttCodecName, MqttCodecOption } from '../interfaces/codec.interface.js';
import { autoCodec, jsonCodec, rawCodec, textCodec, type PayloadCodec } from './codec.js';
import { cborCodec, msgpackCodec } from './package-codecs.js';

const named: Readonly<Record<MqttCodecName, PayloadCodec>> = {
  auto: autoCodec,
  json: jsonCodec,
  text: textCodec,
  raw: rawCodec,
  cbor: cborCodec,
  msgpack: msgpackCodec,
};
const expected =
  '"auto", "json", "text", "raw", "cbor", "msgpack" or an object with encode(), decode() and, if it has one, contentType';

/** One wrapper for each object, so that handlers with the same codec share what it decodes. */
const custom = new WeakMap<MqttCodec, PayloadCodec>();

/** Codecs by the content type that selects them. @internal */
export type CodecsByContentType = ReadonlyMap<string, PayloadCodec>;

/**
 * @throws MqttArgumentError
 * @internal
 */
export function findCodec(option: unknown, field = 'codec'): PayloadCodec {
  if (typeof option === 'string' && Object.hasOwn(named, option)) return named[option as MqttCodecName];
  if (!isCodec(option)) throw new MqttArgumentError(field, option, expected);
  let codec = custom.get(option);
  if (codec === undefined) custom.set(option, (codec = wrap(option)));
  return codec;
}

/** The `codec` option. @internal */
export function readCodec(option: string, value: unknown, fallback: PayloadCodec, checks: OptionChecks): PayloadCodec {
  if (value === undefined) return fallback;
  let codec = fallback;
  checks.argument(() => (codec = findCodec(value, option)));
  return codec;
}

/** The `contentTypeCodecs` option; undefined if it selects nothing. @internal */
export function readContentTypeCodecs(value: unknown, checks: OptionChecks): CodecsByContentType | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) {
    checks.report('contentTypeCodecs', value, 'an array of codecs, such as ["json", "cbor"]');
    return undefined;
  }
  const codecs = new Map<string, PayloadCodec>();
  value.forEach((item: MqttCodecOption, index) => {
    const option = `contentTypeCodecs[${index}]`;
    const codec = readCodec(option, item, autoCodec, checks);
    if (codec.contentType !== undefined) {
      for (const type of [codec.contentType, ...(codec.aliases ?? [])]) codecs.set(normalize(type), codec);
    } else if (item === 'auto' || isCodec(item)) {
      checks.report(option, item, 'a codec with a content type, for that is what selects it');
    }
  });
  return codecs.size === 0 ? undefined : codecs;
}

/** The codec that a content type selects; undefined if it selects none. @internal */
export function selectCodec(codecs: CodecsByContentType, contentType: string): PayloadCodec | undefined {
  return codecs.get(contentType) ?? codecs.get(normalize(contentType));
}

/** Loads what codecs stand on. Undefined: all is there. @internal */
export function loadCodecs(codecs: Iterable<PayloadCodec>): Promise<unknown> | undefined {
  const loading = [...codecs].flatMap((codec) => codec.load?.() ?? []);
  return loading.length === 0 ? undefined : Promise.all(loading);
}

function wrap(own: MqttCodec): PayloadCodec {
  return {
    name: own.contentType ?? 'custom',
    contentType: own.contentType,
    hasEnvelope: false,
    encode(data) {
      if (data === undefined) return '';
      const bytes: unknown = own.encode(data);
      if (bytes instanceof Uint8Array) return bytes;
      throw new MqttArgumentError('result of encode()', bytes, `a Uint8Array from the codec "${this.name}"`);
    },
    decode: (payload) => (payload.length === 0 ? undefined : own.decode(payload)),
  };
}

function isCodec(value: unknown): value is MqttCodec {
  if (typeof value !== 'object' || value === null) return false;
  const { contentType, encode, decode } = value as Partial<Record<keyof MqttCodec, unknown>>;
  const isType = contentType === undefined || (typeof contentType === 'string' && contentType !== '');
  return typeof encode === 'function' && typeof decode === 'function' && isType;
}

/** Types are case-insensitive, and their parameters change nothing here. */
function normalize(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}
