import type { PublishOptions } from '../eventloop/messages.js';
import type { PayloadCodec } from './codec.js';
import { unwrapRecord } from './record.js';

/** Payload and options of a publish; a record's own options give way. @internal */
export function content(
  data: unknown,
  options: PublishOptions | undefined,
  codec: PayloadCodec,
): [Uint8Array | string, PublishOptions | undefined] {
  const record = unwrapRecord(data);
  const all = record.options === undefined ? options : { ...record.options, ...options };
  return [codec.encode(record.data), withContentType(all, codec)];
}

/** @internal */
export function withContentType(
  options: PublishOptions | undefined,
  { contentType }: PayloadCodec,
): PublishOptions | undefined {
  if (contentType === undefined) return options;
  const { properties } = options ?? {};
  // On Node.js 20 a property that is new after a spread takes a microsecond.
  return Object.assign({}, options, {
    properties: Object.assign({}, properties, { contentType: properties?.contentType ?? contentType }),
  });
}
