import { BaseRpcContext } from '@nestjs/microservices';
import { MqttArgumentError } from './eventloop/errors.js';
import type { IncomingMessage, IncomingProperties } from './eventloop/messages.js';
import { MqttSettlementError } from './mqtt.errors.js';
import { readTopicParam, readTopicParams, type TopicPattern } from './routing/pattern.js';
import { expectedRefusal, refusalReasons, unspecifiedError } from './settlement/refusals.js';

const mostDelayMs = 86_400_000;

/** Whoever settles the message for a context. @internal */
export interface SettlementByHand {
  /** @throws MqttSettlementError */
  settle(method: 'acknowledge' | 'reject', reasonCode: number): void;
  /** @throws MqttSettlementError */
  retry(delayMs: number | undefined): void;
}

/**
 * What a handler can know about its message; injected by `@Ctx()`. Every handler of a message has its own.
 *
 * @publicApi
 */
export class MqttContext extends BaseRpcContext<[topic: string, message: IncomingMessage]> {
  readonly #pattern: TopicPattern;
  readonly #metadata: Readonly<Record<string, string>> | undefined;
  readonly #byHand: SettlementByHand | undefined;
  readonly #attempt: number;

  /** @internal */
  constructor(
    message: IncomingMessage,
    pattern: TopicPattern,
    metadata?: Readonly<Record<string, string>>,
    byHand?: SettlementByHand,
    attempt = 1,
  ) {
    super([message.topic, message]);
    this.#pattern = pattern;
    this.#metadata = metadata;
    this.#byHand = byHand;
    this.#attempt = attempt;
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

  /** How often this handler has been given the message, this time included: 1, and more in retries. */
  getAttempt(): number {
    return this.#attempt;
  }

  /**
   * With `acknowledge: 'manual'`: this handler is done with the message. It is acknowledged when its other handlers are, too.
   * The handler calls exactly one of `acknowledge`, `reject` and `retry`, before or after it returns; or it throws, and
   * the failure policy decides.
   *
   * @throws MqttSettlementError in another mode, or when this attempt has been settled
   */
  acknowledge(): void {
    this.#settle('acknowledge', 0);
  }

  /**
   * With `acknowledge: 'manual'`: refuses the message. MQTT 3.1.1 has no reasons and acknowledges. Of several handlers the
   * highest reason code counts.
   *
   * @param reasonCode - MQTT 5: 0x80 (default), 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99
   * @throws MqttSettlementError in another mode, or when this attempt has been settled; MqttArgumentError
   */
  reject(reasonCode: number = unspecifiedError): void {
    if (!refusalReasons.has(reasonCode)) throw new MqttArgumentError('reasonCode', reasonCode, expectedRefusal);
    this.#settle('reject', reasonCode);
  }

  /**
   * With `acknowledge: 'manual'`: this handler is to have the message again, in a context of its own. The attempts of the
   * handler's `retry` option are the limit; what is beyond has failed.
   *
   * @param options.delayMs - 0 to 86 400 000. Default: as the handler's `retry` option says, else from one second to a minute
   * @throws MqttSettlementError in another mode, when this attempt has been settled, or for a request; MqttArgumentError
   */
  retry({ delayMs }: { readonly delayMs?: number | undefined } = {}): void {
    if (delayMs !== undefined && !(delayMs >= 0 && delayMs <= mostDelayMs)) {
      throw new MqttArgumentError('delayMs', delayMs, `milliseconds from 0 to ${mostDelayMs}`);
    }
    if (this.#byHand === undefined) throw this.#notByHand('retry');
    this.#byHand.retry(delayMs);
  }

  #settle(method: 'acknowledge' | 'reject', reasonCode: number): void {
    if (this.#byHand === undefined) throw this.#notByHand(method);
    this.#byHand.settle(method, reasonCode);
  }

  #notByHand(method: 'acknowledge' | 'reject' | 'retry'): MqttSettlementError {
    return new MqttSettlementError(method, 'wrong-mode', this.#pattern.declared, this.args[0]);
  }
}
