import type { PublishOptions } from '../eventloop/messages.js';
import type { MqttCodecOption } from './codec.interface.js';

/** @publicApi */
export interface MqttPublishOptions extends PublishOptions {
  /** Default: the module's `codec`. On MQTT 5 its content type goes with the message, unless `properties` say another. */
  readonly codec?: MqttCodecOption | undefined;
  /** Whether the topic is complete as it is, without the module's `topicPrefix`. Default false. */
  readonly absolute?: boolean | undefined;
}

/** @publicApi */
export interface MqttRequestOptions {
  /** Whether the topic is complete as it is, without the module's `topicPrefix`. Default false. */
  readonly absolute?: boolean | undefined;
  /** Default: the module's `requestQos`. */
  readonly qos?: PublishOptions['qos'];
  readonly properties?: PublishOptions['properties'];
  /** Aborting rejects the request; what was not sent yet is taken back. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the reply, or for the next one of a stream; 0 = for ever. Default: the module's `requestTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  /**
   * `nest` (default): data in the envelope of Nest's MQTT transport, which every Nest peer understands.
   * `none`: the bare data, for devices that answer to the MQTT 5 response topic; needs MQTT 5.
   * Codecs other than `auto` and `json` have no envelope.
   */
  readonly envelope?: 'nest' | 'none' | undefined;
  /** Of the request and of its replies. Default: the module's `codec`. */
  readonly codec?: MqttCodecOption | undefined;
}
