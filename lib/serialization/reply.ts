import type { WritePacket } from '@nestjs/microservices';
import type { IncomingMessage, PublishOptions, PublishProperties } from '../eventloop/messages.js';
import { readReplyEnvelope, type ReplyEnvelope } from './envelope.js';
import type { ReplyTarget } from './incoming.js';
import { MqttDecodeError } from '../mqtt.errors.js';
import { autoCodec, type PayloadCodec } from './codec.js';
import { selectCodec, type CodecsByContentType } from './codecs.js';
import { asBytes, binaryContentType, decodePayload, toJson } from './payload.js';
import { unwrapRecord } from './record.js';

/**
 * The user property that says what a reply without an envelope is: `error` (the payload is the error), `more` (further
 * replies follow), `complete` (no value, none follows). A reply without it is the last one.
 *
 * @internal
 */
export const replyStatusProperty = 'nest-status';

/** A reply as it is published. @internal */
export interface EncodedReply {
  readonly payload: Uint8Array | string;
  readonly options: PublishOptions;
}

/**
 * Writes a reply in the form that the requester understands: in the codec of the request. In JSON, bytes stay bytes where
 * MQTT 5 properties can carry the rest; to other requesters they go as `Buffer`'s JSON, as the built-in transport sends them.
 * Errors are JSON whatever the codec.
 *
 * @internal
 */
export function encodeReply(target: ReplyTarget, packet: WritePacket): EncodedReply {
  const { data: response, options } = unwrapRecord(packet.response);
  const isError = packet.err !== undefined;
  const binary = target.codec.hasEnvelope && asBytes(response) !== undefined;
  const bare = target.id === undefined || (binary && target.correlationData !== undefined);
  const codec = binary || isError ? autoCodec : target.codec;
  const payload = bare
    ? codec.encode(isError ? errorValue(packet.err) : response)
    : toJson(envelopeOf(packet, response, target.id), 'response');
  const contentType = bare && binary && !isError ? binaryContentType : codec.contentType;
  return {
    payload,
    options: {
      qos: options?.qos ?? target.qos,
      retain: options?.retain ?? false,
      properties: propertiesOf(target, options?.properties, contentType, bare ? statusOf(packet) : undefined),
    },
  };
}

/** The reply that a message on a reply topic is. @internal */
export interface DecodedReply {
  /** Of the request. */
  readonly id: string;
  readonly packet: WritePacket;
}

/**
 * What a message on a reply topic says.
 *
 * @param id - the id that its correlation data stands for
 * @param codec - that of the request with this id
 * @returns undefined if this is no reply
 * @internal
 */
export function decodeReply(
  message: IncomingMessage,
  id: string | undefined,
  codec: PayloadCodec = autoCodec,
  byContentType?: CodecsByContentType,
): DecodedReply | undefined {
  const { payload, properties } = message;
  const contentType = properties?.contentType;
  const status = properties?.userProperties?.[replyStatusProperty];
  let value: unknown;
  if (codec.hasEnvelope || status === 'error' || id === undefined) {
    value = decodePayload(payload, contentType);
    const envelope = readReplyEnvelope(value);
    if (envelope !== undefined && (id === undefined || envelope.id === id)) return unwrapReply(envelope);
    if (id === undefined) return undefined;
    if (status === 'error') return { id, packet: { err: value, isDisposed: true } };
  }
  if (status === 'complete') return { id, packet: { isDisposed: true } };
  const isDecoded = codec === autoCodec && (contentType === undefined || byContentType === undefined);
  const response = isDecoded ? value : decodeBare(message, contentType, codec, byContentType);
  if (response instanceof MqttDecodeError) return { id, packet: { err: response, isDisposed: true } };
  return { id, packet: status === 'more' ? { response } : { response, isDisposed: true } };
}

function unwrapReply({ id, err, response, isDisposed }: ReplyEnvelope): DecodedReply | undefined {
  if (typeof id !== 'string') return undefined;
  return { id, packet: { err, response, isDisposed: isDisposed === true || Boolean(err) } };
}

/** @returns the error if it cannot be decoded */
function decodeBare(
  { topic, payload }: IncomingMessage,
  contentType: string | undefined,
  requestCodec: PayloadCodec,
  byContentType: CodecsByContentType | undefined,
): unknown {
  let codec = requestCodec;
  if (contentType !== undefined) {
    const selected = byContentType && selectCodec(byContentType, contentType);
    // Bytes, whatever was asked in JSON.
    codec = selected ?? (contentType === binaryContentType && codec.hasEnvelope ? autoCodec : codec);
  }
  try {
    return codec.decode(payload, contentType);
  } catch (cause) {
    return new MqttDecodeError(codec.name, topic, contentType, cause);
  }
}

function envelopeOf(packet: WritePacket, response: unknown, id: string | number | undefined): object {
  // The order of the built-in server.
  return {
    ...(packet.status === undefined ? {} : { status: packet.status }),
    ...(packet.err === undefined ? {} : { err: errorValue(packet.err) }),
    ...(response === undefined ? {} : { response }),
    ...(packet.isDisposed === true ? { isDisposed: true } : {}),
    id,
  };
}

function statusOf(packet: WritePacket): string | undefined {
  if (packet.err !== undefined) return 'error';
  if (packet.isDisposed !== true) return 'more';
  return packet.response === undefined ? 'complete' : undefined;
}

function propertiesOf(
  target: ReplyTarget,
  own: PublishProperties | undefined,
  contentType: string | undefined,
  status: string | undefined,
): PublishProperties | undefined {
  if (!target.hasProperties) return own;
  return {
    ...(contentType === undefined ? {} : { contentType }),
    ...own,
    correlationData: target.correlationData,
    ...(status === undefined ? {} : { userProperties: { ...own?.userProperties, [replyStatusProperty]: status } }),
  };
}

/** Errors have no JSON form of their own. */
function errorValue(error: unknown): unknown {
  return error instanceof Error ? { status: 'error', message: error.message } : error;
}
