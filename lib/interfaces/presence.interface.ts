import type { PublishProperties, QoS } from '../eventloop/messages.js';

/**
 * Tells others on a retained topic whether this application is there: `online` is published after every connect, `offline` at a
 * graceful shutdown, and by the broker (as the will) when the connection is lost.
 *
 * @publicApi
 */
export interface MqttPresenceOptions {
  /** Of this application alone, such as `presence/gateway-7`. */
  readonly topic: string;
  /** Whether the topic is complete as it is, without the module's `topicPrefix`. Default false. */
  readonly absolute?: boolean | undefined;
  /** Bytes and strings as they are, anything else as JSON. Default `online`. */
  readonly online?: unknown;
  /** Default `offline`. */
  readonly offline?: unknown;
  /** Default 1. */
  readonly qos?: QoS | undefined;
  /** MQTT 5: how long the broker waits for a reconnect before it publishes `offline`, so that a short loss is not announced. Default 0. */
  readonly delaySeconds?: number | undefined;
  /** MQTT 5: of all three messages. */
  readonly properties?: PublishProperties | undefined;
}
