import type { IncomingMessage, QoS } from '../eventloop/messages.js';
import { assertTopicName } from '../eventloop/topics.js';
import { MqttDecodeError } from '../mqtt.errors.js';
import type { PayloadCodec } from './codec.js';
import { selectCodec, type CodecsByContentType } from './codecs.js';
import { readRequestEnvelope, type NormalizePattern, type RequestEnvelope } from './envelope.js';

/** Where and how a request is answered. @internal */
export interface ReplyTarget {
  /** What is answered. */
  readonly request: IncomingMessage;
  readonly topic: string;
  /** Undefined on MQTT 3.1.1 and for built-in peers. */
  readonly correlationData: Uint8Array | undefined;
  /** The id of the request's envelope; the reply then comes in an envelope too. Undefined: the reply is the bare value. */
  readonly id: string | number | undefined;
  /** That of the request: a reply is worth as much as the question. */
  readonly qos: QoS;
  /** Whether the requester gave an MQTT 5 response topic, so that properties reach it. */
  readonly hasProperties: boolean;
  /** That of the request: the requester reads what it writes. */
  readonly codec: PayloadCodec;
}

/** A message as handlers see it. @internal */
export interface IncomingCall {
  /** Undefined if it is undecodable. */
  readonly data: unknown;
  readonly undecodable: MqttDecodeError | undefined;
  /** Out-of-band values of a Nest 12 peer. */
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** Undefined for an event. */
  readonly reply: ReplyTarget | undefined;
}

/** Reads messages as handlers see them. @internal */
export class CallReader {
  readonly #normalizePattern: NormalizePattern;
  readonly #byContentType: CodecsByContentType | undefined;

  /** @param byContentType - the codecs that senders may select */
  constructor(normalizePattern: NormalizePattern, byContentType: CodecsByContentType | undefined) {
    this.#normalizePattern = normalizePattern;
    this.#byContentType = byContentType;
  }

  /**
   * Tells requests from events: a message with an MQTT 5 response topic, or in a Nest envelope with an `id`, asks for a reply.
   * Never throws.
   */
  read(message: IncomingMessage, handlerCodec: PayloadCodec): IncomingCall {
    const { topic, payload, properties } = message;
    const contentType = properties?.contentType;
    const codec =
      contentType === undefined || this.#byContentType === undefined
        ? handlerCodec
        : (selectCodec(this.#byContentType, contentType) ?? handlerCodec);
    let value: unknown;
    let envelope: RequestEnvelope | undefined;
    let undecodable: MqttDecodeError | undefined;
    try {
      value = codec.decode(payload, contentType);
      if (typeof value === 'object' && value !== null && codec.hasEnvelope) {
        envelope = readRequestEnvelope(value, topic, this.#normalizePattern);
      }
    } catch (cause) {
      value = undefined;
      undecodable = new MqttDecodeError(codec.name, topic, contentType, cause);
    }
    const responseTopic = properties?.responseTopic;
    const reply =
      responseTopic === undefined && envelope?.id === undefined
        ? undefined
        : replyTarget(message, responseTopic, envelope?.id, envelope?.replyTo, codec);
    return envelope === undefined
      ? { data: value, undecodable, metadata: undefined, reply }
      : { data: envelope.data, undecodable, metadata: envelope.metadata, reply };
  }
}

function replyTarget(
  message: IncomingMessage,
  responseTopic: string | undefined,
  id: string | number | undefined,
  replyTo: string | undefined,
  codec: PayloadCodec,
): ReplyTarget | undefined {
  const topic = responseTopic ?? replyTo ?? `${message.topic}/reply`;
  try {
    assertTopicName(topic);
  } catch {
    // Nobody can be answered there; what the message says is handled all the same.
    return undefined;
  }
  return {
    request: message,
    topic,
    correlationData: message.properties?.correlationData,
    id,
    qos: message.qos,
    hasProperties: responseTopic !== undefined,
    codec,
  };
}
