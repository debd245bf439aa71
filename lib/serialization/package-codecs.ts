import { MqttArgumentError } from '../eventloop/errors.js';
import { MqttMissingPackageError } from '../mqtt.errors.js';
import { readCborTags } from './cbor-tags.js';
import type { PayloadCodec } from './codec.js';
import { assertMsgpackBounds } from './msgpack-bounds.js';
import { dropProto } from './payload.js';

/** What a package does for its codec. @internal */
export interface Format {
  encode(data: unknown): Uint8Array;
  decode(payload: Buffer): unknown;
}

/** A codec that stands on an optional package, which is loaded when somebody asks for it. @internal */
export class PackageCodec implements PayloadCodec {
  readonly hasEnvelope = false;
  readonly #loader: () => Promise<Format>;
  #format: Format | undefined;
  #loading: Promise<void> | undefined;

  constructor(
    readonly name: string,
    readonly packageName: string,
    readonly contentType: string,
    readonly aliases: readonly string[],
    loader: () => Promise<Format>,
  ) {
    this.#loader = loader;
  }

  load(): Promise<void> | undefined {
    if (this.#format !== undefined) return undefined;
    return (this.#loading ??= this.#loader().then(
      (format) => void (this.#format = format),
      (cause: unknown) => {
        this.#loading = undefined;
        throw new MqttMissingPackageError(this.packageName, `codec "${this.name}"`, { cause });
      },
    ));
  }

  encode(data: unknown): Uint8Array | string {
    if (data === undefined) return '';
    try {
      return this.#loaded.encode(data);
    } catch (error) {
      if (error instanceof MqttMissingPackageError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new MqttArgumentError('data', data, `a value that ${this.name} can express (${reason})`);
    }
  }

  decode(payload: Buffer): unknown {
    return payload.length === 0 ? undefined : this.#loaded.decode(payload);
  }

  get #loaded(): Format {
    if (this.#format === undefined) throw new MqttMissingPackageError(this.packageName, `codec "${this.name}"`);
    return this.#format;
  }
}

/** @internal */
export const cborCodec: PayloadCodec = new PackageCodec('cbor', 'cborg', 'application/cbor', [], async () => {
  const [{ encode, decode }, { bigIntEncoder, dateEncoder }] = await Promise.all([
    import('cborg'),
    import('cborg/taglib'),
  ]);
  const encoding = { ignoreUndefinedProperties: true, typeEncoders: { Date: dateEncoder, bigint: bigIntEncoder } };
  const decoding = { tags: readCborTags };
  return {
    encode: (data) => encode(data, encoding),
    decode: (payload) => dropProto(decode(payload, decoding), payload),
  };
});

/** @internal */
export const msgpackCodec: PayloadCodec = new PackageCodec(
  'msgpack',
  '@msgpack/msgpack',
  'application/vnd.msgpack',
  ['application/msgpack', 'application/x-msgpack'],
  async () => {
    const { encode, decode } = await import('@msgpack/msgpack');
    const encoding = { ignoreUndefined: true };
    return {
      encode: (data) => encode(data, encoding),
      decode: (payload) => {
        assertMsgpackBounds(payload);
        // Not as a Buffer: what it holds would become Buffers too.
        return decode(new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength));
      },
    };
  },
);
