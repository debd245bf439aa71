import type { ReadPacket, WritePacket } from '@nestjs/microservices';
import { MqttAbortError, MqttClosedError, MqttNotSupportedError, MqttTimeoutError } from '../eventloop/errors.js';
import type { IncomingMessage, PublishOptions, PublishProperties } from '../eventloop/messages.js';
import { assertTopicName } from '../eventloop/topics.js';
import type { MqttRequestOptions } from '../interfaces/client-options.interface.js';
import type { MqttConnection } from '../mqtt.connection.js';
import { MqttNoResponderError } from '../mqtt.errors.js';
import { autoCodec } from '../serialization/codec.js';
import { findCodec } from '../serialization/codecs.js';
import { asBytes, binaryContentType, toJson } from '../serialization/payload.js';
import { unwrapRecord } from '../serialization/record.js';
import { decodeReply } from '../serialization/reply.js';
import { PendingRequests, timeoutError, type PendingRequest } from './pending-requests.js';
import { ReplyRoutes } from './reply-routes.js';
import { fromCorrelationData, toCorrelationData } from './request-id.js';

const noMatchingSubscribers = 0x10;

/** A request as it is published. */
interface EncodedRequest {
  readonly payload: Uint8Array | string;
  readonly options: PublishOptions;
}

/**
 * Sends requests and brings their replies back. Each carries all that any responder needs: MQTT 5 response topic and
 * correlation data, and Nest's envelope with its id.
 *
 * @internal
 */
export class Requester {
  readonly #connection: MqttConnection;
  readonly #pending: PendingRequests;
  readonly #routes: ReplyRoutes;
  #isReceiving = false;
  #strayReplies = 0;

  constructor(connection: MqttConnection) {
    const { options, loop } = connection;
    this.#connection = connection;
    this.#routes = new ReplyRoutes(loop, options.inboxTopic, options.replyMode, (topic) =>
      connection.isSubscribed(topic),
    );
    this.#pending = new PendingRequests(
      options.maxPendingRequests,
      ({ topic }, timedOut) => this.#routes.leave(topic, timedOut),
      connection.clock,
    );
    // Whoever closed the loop, or if it gave up: no reply can come any more.
    loop.on('closed', () => this.close());
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Replies that nobody waited for any more. */
  get strayReplies(): number {
    return this.#strayReplies;
  }

  /**
   * Never throws: what goes wrong is given to the callback, as is every reply.
   *
   * @returns a function that gives up waiting
   */
  send(
    topic: string,
    packet: ReadPacket,
    options: MqttRequestOptions,
    callback: (packet: WritePacket) => void,
  ): () => void {
    const { signal, timeoutMs = this.#connection.options.requestTimeoutMs } = options;
    let stopListening: (() => void) | undefined;
    let request: PendingRequest;
    try {
      assertTopicName(topic, 'pattern');
      this.#receive();
      const codec = options.codec === undefined ? this.#connection.options.payload.codec : findCodec(options.codec);
      request = this.#pending.open(topic, timeoutMs, codec, (reply) => {
        if (reply.isDisposed === true) stopListening?.();
        callback(reply);
      });
    } catch (err) {
      callback({ err, isDisposed: true });
      return () => undefined;
    }
    const ready = this.#routes.enter(topic);
    stopListening = signal && this.#abortOnSignal(request, signal);
    void this.#transmit(request, ready, packet, options);
    return () => {
      stopListening?.();
      this.#pending.cancel(request);
    };
  }

  close(): void {
    this.#pending.failAll((request) => new MqttClosedError(request.state === 'preparing' ? 'not-sent' : 'unknown'));
  }

  #receive(): void {
    if (this.#isReceiving) return;
    this.#isReceiving = true;
    this.#connection.receiveReplies((message) => {
      if (message.topic === this.#routes.inbox) {
        this.#replied(message, 'private');
        return 'private';
      }
      if (!this.#routes.isReplyTopic(message.topic)) return undefined;
      this.#replied(message, 'builtin');
      return 'public';
    });
  }

  #replied(message: IncomingMessage, responder: 'private' | 'builtin'): void {
    const id = fromCorrelationData(message.properties?.correlationData);
    const codec = id === undefined ? undefined : this.#pending.codecOf(id);
    const reply = decodeReply(message, id, codec, this.#connection.options.contentTypeCodecs);
    const request = reply && this.#pending.reply(reply.id, reply.packet);
    if (request === undefined) this.#strayReplies++;
    else this.#routes.learn(request.topic, responder);
  }

  async #transmit(
    request: PendingRequest,
    ready: Promise<void> | undefined,
    packet: ReadPacket,
    options: MqttRequestOptions,
  ): Promise<void> {
    try {
      if (ready !== undefined) await ready;
      if (request.state === 'settled') return;
      const encoded = this.#encode(request, packet, options);
      request.state = 'publishing';
      const result = await this.#connection.loop.publish(request.topic, encoded.payload, encoded.options);
      this.#pending.published(request);
      if (options.signal?.aborted === true) this.#abort(request, options.signal);
      if (result.reasonCode === noMatchingSubscribers)
        this.#pending.fail(request, new MqttNoResponderError(request.topic));
    } catch (error) {
      this.#pending.fail(request, describeFailure(request, error));
    }
  }

  #encode(request: PendingRequest, packet: ReadPacket, options: MqttRequestOptions): EncodedRequest {
    const { requestQos, replyMode } = this.#connection.options;
    const version = this.#connection.loop.negotiated?.protocolVersion;
    const { data, options: own } = unwrapRecord(packet.data);
    const { codec } = request;
    // Bytes need no JSON.
    const isBinary = codec.hasEnvelope && asBytes(data) !== undefined;
    const isBare = options.envelope === 'none' || isBinary || !codec.hasEnvelope;
    if (isBare && version === 4) {
      throw new MqttNotSupportedError(
        'MQTT 5 response topics, which a request of bytes, without an envelope or in a codec that has none needs',
        'use a broker with MQTT 5, or send text or an object in the default envelope and codec',
      );
    }
    const usesInbox = replyMode !== 'builtin' && !this.#routes.isInboxRefused;
    const contentType = isBinary ? binaryContentType : codec.contentType;
    // MQTT 3.1.1 sends none: the envelope says it all.
    const properties: PublishProperties | undefined =
      version === 4
        ? undefined
        : {
            contentType,
            messageExpirySeconds: request.timeoutMs === 0 ? undefined : Math.ceil(request.timeoutMs / 1_000),
            ...own?.properties,
            ...options.properties,
            responseTopic: usesInbox || isBare ? this.#routes.inbox : undefined,
            correlationData: toCorrelationData(request.id),
          };
    // JSON leaves out what is undefined.
    const replyTo = usesInbox && version !== 5 ? this.#routes.inbox : undefined;
    return {
      payload: isBare
        ? (isBinary ? autoCodec : codec).encode(data)
        : // On Node.js 20 a property that is new after a spread takes a microsecond.
          toJson(Object.assign({}, packet, { data, id: request.id, replyTo })),
      options: {
        qos: options.qos ?? own?.qos ?? requestQos,
        retain: own?.retain,
        properties,
        signal: options.signal,
        timeoutMs: this.#pending.remainingMs(request),
      },
    };
  }

  #abortOnSignal(request: PendingRequest, signal: AbortSignal): (() => void) | undefined {
    const abort = (): void => {
      // The event loop has the signal too, and knows how far it got.
      if (request.state !== 'publishing') this.#abort(request, signal);
    };
    if (signal.aborted) {
      abort();
      return undefined;
    }
    signal.addEventListener('abort', abort, { once: true });
    return () => signal.removeEventListener('abort', abort);
  }

  #abort(request: PendingRequest, signal: AbortSignal): void {
    const delivery = request.state === 'preparing' ? 'not-sent' : 'unknown';
    this.#pending.fail(request, new MqttAbortError(operation(request), delivery, { cause: signal.reason }));
  }
}

/** The event loop speaks of a publish; to the caller it was a request. */
function describeFailure(request: PendingRequest, error: unknown): unknown {
  if (error instanceof MqttTimeoutError) return timeoutError(request, error.delivery);
  if (error instanceof MqttAbortError)
    return new MqttAbortError(operation(request), error.delivery, { cause: error.cause });
  return error;
}

function operation(request: PendingRequest): string {
  return `request to "${request.topic}"`;
}
