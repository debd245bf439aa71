import { isUtf8 } from 'node:buffer';
import { MqttArgumentError } from '../eventloop/errors.js';
import { asBytes, binaryContentType, decodePayload, encodePayload, parseJson, toJson } from './payload.js';

/** Turns values into payloads and back. @internal */
export interface PayloadCodec {
  /** For people. */
  readonly name: string;
  /** What it writes is published with; undefined: none. */
  readonly contentType: string | undefined;
  /** Other content types that mean the same. */
  readonly aliases?: readonly string[];
  /** Whether values may travel in the envelope of Nest's MQTT transport, which is JSON. */
  readonly hasEnvelope: boolean;
  /** @throws MqttArgumentError when the value has no such form */
  encode(data: unknown): Uint8Array | string;
  /** @throws anything when the payload is not of its kind */
  decode(payload: Buffer, contentType: string | undefined): unknown;
  /** Loads the package it stands on. Undefined: it is there. */
  load?(): Promise<void> | undefined;
}

/** The default: takes everything. @internal */
export const autoCodec: PayloadCodec = {
  name: 'auto',
  contentType: undefined,
  hasEnvelope: true,
  encode: (data) => encodePayload(data),
  decode: decodePayload,
};

/** @internal */
export const jsonCodec: PayloadCodec = {
  name: 'json',
  contentType: 'application/json',
  hasEnvelope: true,
  encode(data) {
    if (data === undefined) return '';
    if (asBytes(data) !== undefined)
      throw new MqttArgumentError('data', data, 'a value for JSON; codec "raw" takes bytes');
    return toJson(data);
  },
  decode(payload) {
    if (payload.length === 0) return undefined;
    const text = readText(payload);
    try {
      return parseJson(text);
    } catch {
      // The parser's own words quote the payload.
      throw new SyntaxError('it is not JSON');
    }
  },
};

/** @internal */
export const textCodec: PayloadCodec = {
  name: 'text',
  contentType: 'text/plain',
  hasEnvelope: false,
  encode(data) {
    if (data === undefined) return '';
    if (typeof data === 'string') return data;
    if (typeof data === 'number' || typeof data === 'bigint' || typeof data === 'boolean') return String(data);
    throw new MqttArgumentError('data', data, 'a string, a number or a boolean for codec "text"');
  },
  decode: readText,
};

/** @internal */
export const rawCodec: PayloadCodec = {
  name: 'raw',
  contentType: binaryContentType,
  hasEnvelope: false,
  encode(data) {
    if (data === undefined) return '';
    const bytes = typeof data === 'string' ? data : asBytes(data);
    if (bytes === undefined) throw new MqttArgumentError('data', data, 'bytes or a string for codec "raw"');
    return bytes;
  },
  decode: (payload) => payload,
};

function readText(payload: Buffer): string {
  if (!isUtf8(payload)) throw new TypeError('it is not UTF-8');
  return payload.toString('utf8');
}
