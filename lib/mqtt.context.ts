import { BaseRpcContext } from '@nestjs/microservices';
import type { IncomingMessage, IncomingProperties } from './eventloop/messages.js';
import { readTopicParam, readTopicParams, type TopicPattern } from './routing/pattern.js';
import type { AcknowledgementVote } from './settlement/acknowledgement-vote.js';

/**
 * What a handler can know about its message; injected by `@Ctx()`. Every handler of a message has its own.
 *
 * @publicApi
 */
export class MqttContext extends BaseRpcContext<[topic: string, message: IncomingMessage]> {
  readonly #pattern: TopicPattern;
  readonly #metadata: Readonly<Record<string, string>> | undefined;
  readonly #vote: AcknowledgementVote | undefined;

  /** @internal */
  constructor(
    message: IncomingMessage,
    pattern: TopicPattern,
    metadata?: Readonly<Record<string, string>>,
    vote?: AcknowledgementVote,
  ) {
    super([message.topic, message]);
    this.#pattern = pattern;
    this.#metadata = metadata;
    this.#vote = vote;
  }

  /** The topic that the message was published to. */
  getTopic(): string {
    return this.args[0];
  }

  /** The message as it came: payload bytes, QoS, retain and duplicate flags, MQTT 5 properties. */
  getMessage(): IncomingMessage {
    return this.args[1];
  }

  /** The same as `getMessage()`, under the name that the built-in transport's context has for it. */
  getPacket(): IncomingMessage {
    return this.args[1];
  }

  /** The bytes as they came, whatever the payload was decoded to. */
  getPayload(): Buffer {
    return this.args[1].payload;
  }

  /** The MQTT 5 properties; undefined on MQTT 3.1.1. */
  getProperties(): IncomingProperties | undefined {
    return this.args[1].properties;
  }

  /** The pattern of the handler, as declared. */
  getPattern(): string {
    return this.#pattern.declared;
  }

  /**
   * What each wildcard of the handler's pattern stands for in the topic, by name; a plain `+` or `#` by its position
   * among the wildcards, the first being 0. `#` stands for all remaining levels.
   */
  getTopicParams(): Readonly<Record<string, string>> {
    return readTopicParams(this.#pattern, this.args[0]);
  }

  /**
   * What one wildcard stands for.
   *
   * @param key - its name, or its position among the wildcards of the pattern
   * @throws MqttArgumentError when the pattern has no such wildcard
   */
  getTopicParam(key: string | number): string {
    return readTopicParam(this.#pattern, this.args[0], key);
  }

  /** Out-of-band values of a Nest 12 peer's dispatch hook; undefined when there are none. */
  getMetadata(): Readonly<Record<string, string>> | undefined {
    return this.#metadata;
  }

  /**
   * Acknowledges the message as far as this handler is concerned: at once if no other handler has it, otherwise when
   * the others are done too. The way to acknowledge under `acknowledge: 'manual'`; under `after-handler` a way to do
   * it early, or with a reason. The first call counts.
   *
   * @param reasonCode - MQTT 5 PUBACK reason, default 0; 0x80 and above refuse the message. The highest of all handlers is sent
   */
  acknowledge(reasonCode = 0): void {
    if (this.#vote === undefined) this.args[1].acknowledge(reasonCode);
    else this.#vote.give(reasonCode);
  }
}
