import type { InjectionToken } from '@nestjs/common';
import { EventLoop } from './eventloop/event-loop.js';
import type { EventLoopRuntime } from './eventloop/runtime.js';
import { defaultName } from './mqtt.constants.js';
import { MqttClient } from './mqtt.client.js';
import { MqttServer } from './mqtt.server.js';

/** The token of a registration's client; without a name, the class itself. @publicApi */
export function getMqttClientToken(name: string = defaultName): InjectionToken<MqttClient> {
  return name === defaultName ? MqttClient : `MqttClient:${name}`;
}

/** The token of a registration's server; without a name, the class itself. @publicApi */
export function getMqttServerToken(name: string = defaultName): InjectionToken<MqttServer> {
  return name === defaultName ? MqttServer : `MqttServer:${name}`;
}

/** The token of a registration's event loop; without a name, the class itself. @publicApi */
export function getMqttEventLoopToken(name: string = defaultName): InjectionToken<EventLoop> {
  return name === defaultName ? EventLoop : `EventLoop:${name}`;
}

/**
 * The token of what a test replaces of a registration: time, randomness, network.
 *
 * @example `Test.createTestingModule({ imports: [AppModule] }).overrideProvider(getMqttRuntimeToken()).useValue(broker.runtime)`
 * @publicApi
 */
export function getMqttRuntimeToken(name: string = defaultName): InjectionToken<EventLoopRuntime> {
  return name === defaultName ? 'MqttRuntime' : `MqttRuntime:${name}`;
}
