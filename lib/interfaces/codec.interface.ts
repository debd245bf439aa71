import type { IncomingMessage } from '../eventloop/messages.js';
import type { MqttDecodeError } from '../mqtt.errors.js';

/**
 * A codec that comes with the package.
 *
 * `auto`: writes bytes and strings as they are and everything else as JSON; reads JSON, else text, else bytes. Nothing is
 * undecodable to it. `json`: JSON and nothing else. `text`: UTF-8. `raw`: bytes. `cbor` needs the package `cborg`, `msgpack`
 * the package `@msgpack/msgpack`.
 *
 * @publicApi
 */
export type MqttCodecName = 'auto' | 'json' | 'text' | 'raw' | 'cbor' | 'msgpack';

/**
 * A codec of one's own. `undefined` is an empty payload and an empty payload is `undefined`: neither method sees them.
 *
 * @publicApi
 */
export interface MqttCodec {
  /** The MQTT 5 content type of what it writes, such as `application/x-protobuf`. Default: none. */
  readonly contentType?: string | undefined;
  encode(value: unknown): Uint8Array;
  /** Throws when the bytes mean nothing to it. They are the sender's choice. */
  decode(payload: Buffer): unknown;
}

/** @publicApi */
export type MqttCodecOption = MqttCodecName | MqttCodec;

/**
 * What becomes of a message that cannot be decoded. `reject`: it is refused as of an invalid format (0x99); MQTT 3.1.1 has no
 * reasons and acknowledges. `dead-letter`: it goes to the topic of `deadLetter`, `dead/{topic}` if there is none, and is
 * acknowledged. `acknowledge`: it counts as handled.
 *
 * @publicApi
 */
export type MqttUndecodableAction = 'reject' | 'dead-letter' | 'acknowledge';

/**
 * An action, or a function that decides for each message. One that throws leaves the message to the failure policy.
 *
 * @publicApi
 */
export type MqttUndecodablePolicy =
  | MqttUndecodableAction
  | ((message: IncomingMessage, error: MqttDecodeError) => MqttUndecodableAction | Promise<MqttUndecodableAction>);

/** How payloads become values, and what becomes of those that do not. @publicApi */
export interface MqttPayloadOptions {
  /** Default `auto`. */
  readonly codec?: MqttCodecOption | undefined;
  /**
   * Default: as for a handler that fails, without retries: the dead letter topic if there is one, else `onFailure`.
   * Requests are answered with an error instead.
   */
  readonly onUndecodable?: MqttUndecodablePolicy | undefined;
}
