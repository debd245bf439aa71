import { isUtf8 } from 'node:buffer';
import { MqttArgumentError } from '../eventloop/errors.js';

/** The MQTT 5 content type that keeps a payload from being read as text. @internal */
export const binaryContentType = 'application/octet-stream';

/**
 * What a payload becomes for a handler: the value if it is JSON, the text if it is other UTF-8 (empty included), and the
 * `Buffer` itself if it is neither or if its content type says so. `context.getPayload()` always has the bytes.
 *
 * A `"__proto__"` key is dropped: merged into another object it would change that object's prototype.
 *
 * @internal
 */
export function decodePayload(payload: Buffer, contentType?: string): unknown {
  if (contentType === binaryContentType || !isUtf8(payload)) return payload;
  const text = payload.toString('utf8');
  if (!mayBeJson(text)) return text;
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

/** As `JSON.parse`, without `"__proto__"` keys. @internal */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return mentionsProto(text) ? withoutProto(value) : value;
}

/**
 * Drops `"__proto__"` keys from what was decoded from a payload in which strings stand as they are.
 *
 * @internal
 */
export function dropProto(value: unknown, payload: Buffer): unknown {
  return payload.includes('__proto__') ? withoutProto(value) : value;
}

/**
 * Bytes and strings go out as they are, nothing (`undefined`) as an empty payload, everything else as JSON.
 *
 * @internal
 */
export function encodePayload(data: unknown, field?: string): Uint8Array | string {
  if (typeof data === 'string') return data;
  if (data === undefined) return '';
  return asBytes(data) ?? toJson(data, field);
}

/** The bytes of a `Buffer`, another view or an `ArrayBuffer`; undefined for anything else. @internal */
export function asBytes(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data);
  return undefined;
}

/** @internal */
export function toJson(data: unknown, field = 'data'): string {
  let json: string | undefined;
  let reason = 'it has no JSON form';
  try {
    json = JSON.stringify(data);
  } catch (error) {
    reason = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
  }
  if (json === undefined) {
    throw new MqttArgumentError(field, data, `bytes, a string or a value that JSON can express (${reason})`);
  }
  return json;
}

/** Spares the text of most devices the cost of a parse error. */
function mayBeJson(text: string): boolean {
  switch (text.charCodeAt(0)) {
    case 0x74: // t
      return text.startsWith('true');
    case 0x66: // f
      return text.startsWith('false');
    case 0x6e: // n
      return text.startsWith('null');
    case 0x7b: // {
    case 0x5b: // [
    case 0x22: // "
    case 0x2d: // -
    case 0x20:
    case 0x09:
    case 0x0a:
    case 0x0d:
      return true;
    default: {
      const first = text.charCodeAt(0);
      return first >= 0x30 && first <= 0x39;
    }
  }
}

/** The key as it is, or with any of its letters escaped. */
const escapedProto =
  /"(?:_|\\u005f){2}(?:p|\\u0070)(?:r|\\u0072)(?:o|\\u006f)(?:t|\\u0074)(?:o|\\u006f)(?:_|\\u005f){2}"/i;

function mentionsProto(text: string): boolean {
  return text.includes('__proto__') || (text.includes('\\u') && escapedProto.test(text));
}

function withoutProto(value: unknown): unknown {
  // Not recursive: a sender decides how deep this goes.
  const open = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null || ArrayBuffer.isView(next)) continue;
    if (Object.hasOwn(next, '__proto__')) delete (next as Record<string, unknown>)['__proto__'];
    for (const child of Object.values(next)) {
      if (typeof child === 'object' && child !== null) open.push(child);
    }
  }
  return value;
}
