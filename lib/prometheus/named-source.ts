import type { EventLoop } from '../eventloop/event-loop.js';
import type { MqttClient } from '../mqtt.client.js';
import type { MqttServer } from '../mqtt.server.js';

/** A source as it is read. @internal */
export interface NamedSource {
  readonly name: string;
  readonly loop: EventLoop;
  readonly server: MqttServer | undefined;
  readonly client: MqttClient | undefined;
}
