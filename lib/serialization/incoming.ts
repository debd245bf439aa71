import type { IncomingMessage, QoS } from '../eventloop/messages.js';
import { assertTopicName } from '../eventloop/topics.js';
import { readRequestEnvelope, type NormalizePattern } from './envelope.js';
import { decodePayload } from './payload.js';

/** Where and how a request is answered. @internal */
export interface ReplyTarget {
  readonly topic: string;
  /** Undefined on MQTT 3.1.1 and for built-in peers. */
  readonly correlationData: Uint8Array | undefined;
  /** The id of the request's envelope; the reply then comes in an envelope too. Undefined: the reply is the bare value. */
  readonly id: string | number | undefined;
  /** That of the request: a reply is worth as much as the question. */
  readonly qos: QoS;
  /** Whether the requester gave an MQTT 5 response topic, so that properties reach it. */
  readonly hasProperties: boolean;
}

/** A message as handlers see it. @internal */
export interface IncomingCall {
  readonly data: unknown;
  /** Out-of-band values of a Nest 12 peer. */
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** Undefined for an event. */
  readonly reply: ReplyTarget | undefined;
}

/**
 * Tells requests from events: a message with an MQTT 5 response topic, or in a Nest envelope with an `id`, asks for a reply.
 *
 * @internal
 */
export function readCall(message: IncomingMessage, normalizePattern: NormalizePattern): IncomingCall {
  const value = decodePayload(message.payload, message.properties?.contentType);
  const envelope =
    typeof value === 'object' && value !== null
      ? readRequestEnvelope(value, message.topic, normalizePattern)
      : undefined;
  const responseTopic = message.properties?.responseTopic;
  const reply =
    responseTopic === undefined && envelope?.id === undefined
      ? undefined
      : replyTarget(message, responseTopic, envelope?.id, envelope?.replyTo);
  return envelope === undefined
    ? { data: value, metadata: undefined, reply }
    : { data: envelope.data, metadata: envelope.metadata, reply };
}

function replyTarget(
  message: IncomingMessage,
  responseTopic: string | undefined,
  id: string | number | undefined,
  replyTo: string | undefined,
): ReplyTarget | undefined {
  const topic = responseTopic ?? replyTo ?? `${message.topic}/reply`;
  try {
    assertTopicName(topic);
  } catch {
    // Nobody can be answered there; what the message says is handled all the same.
    return undefined;
  }
  return {
    topic,
    correlationData: message.properties?.correlationData,
    id,
    qos: message.qos,
    hasProperties: responseTopic !== undefined,
  };
}
