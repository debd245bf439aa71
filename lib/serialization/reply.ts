import type { WritePacket } from '@nestjs/microservices';
import type { IncomingMessage, PublishOptions, PublishProperties } from '../eventloop/messages.js';
import { readReplyEnvelope } from './envelope.js';
import type { ReplyTarget } from './incoming.js';
import { asBytes, binaryContentType, decodePayload, encodePayload, toJson } from './payload.js';
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
 * Writes a reply in the form that the requester understands. Bytes stay bytes where MQTT 5 properties can carry the
 * rest; to other requesters they go as `Buffer`'s JSON, as the built-in transport sends them.
 *
 * @internal
 */
export function encodeReply(target: ReplyTarget, packet: WritePacket): EncodedReply {
  const { data: response, options } = unwrapRecord(packet.response);
  const binary = asBytes(response) !== undefined;
  const bare = target.id === undefined || (binary && target.correlationData !== undefined);
  const payload = bare
    ? encodePayload(packet.err === undefined ? response : errorValue(packet.err))
    : toJson(envelopeOf(packet, response, target.id), 'response');
  return {
    payload,
    options: {
      qos: options?.qos ?? target.qos,
      retain: options?.retain ?? false,
      properties: propertiesOf(target, options?.properties, bare && binary, bare ? statusOf(packet) : undefined),
    },
  };
}

/**
 * What a message on a reply topic says.
 *
 * @param id - the id that its correlation data stands for
 * @returns the id of the request and the packet, or undefined if this is no reply
 * @internal
 */
export function decodeReply(
  message: IncomingMessage,
  id: string | undefined,
): { id: string; packet: WritePacket } | undefined {
  const value = decodePayload(message.payload, message.properties?.contentType);
  const envelope = readReplyEnvelope(value);
  if (envelope !== undefined && (id === undefined || envelope.id === id)) {
    if (typeof envelope.id !== 'string') return undefined;
    const { err, response, isDisposed } = envelope;
    return { id: envelope.id, packet: { err, response, isDisposed: isDisposed === true || Boolean(err) } };
  }
  if (id === undefined) return undefined;
  switch (message.properties?.userProperties?.[replyStatusProperty]) {
    case 'error':
      return { id, packet: { err: value, isDisposed: true } };
    case 'more':
      return { id, packet: { response: value } };
    case 'complete':
      return { id, packet: { isDisposed: true } };
    default:
      return { id, packet: { response: value, isDisposed: true } };
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
  binary: boolean,
  status: string | undefined,
): PublishProperties | undefined {
  if (!target.hasProperties) return own;
  return {
    ...(binary ? { contentType: binaryContentType } : {}),
    ...own,
    correlationData: target.correlationData,
    ...(status === undefined ? {} : { userProperties: { ...own?.userProperties, [replyStatusProperty]: status } }),
  };
}

/** Errors have no JSON form of their own. */
function errorValue(error: unknown): unknown {
  return error instanceof Error ? { status: 'error', message: error.message } : error;
}
