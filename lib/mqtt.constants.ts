/** The registration without a name. @internal */
export const defaultName = 'default';

/** The connection of a registration, inside its module. @internal */
export const MQTT_CONNECTION = Symbol('nestjs-rumqtt.connection');

/** The client of a registration under one name, inside its module. @internal */
export const MQTT_CLIENT = Symbol('nestjs-rumqtt.client');

/** The options of a registration, inside its module. @internal */
export const MQTT_MODULE_OPTIONS = Symbol('nestjs-rumqtt.options');

/** How long a hybrid application may take between `startAllMicroservices` and `init` or `listen` before it is reminded. @internal */
export const reminderMs = 5_000;

/**
 * What the server of a registration is known as to Nest: handlers declared for this transport belong to it, and
 * instrumentation reports its description as the protocol.
 *
 * @example `@EventPattern('plants/+plant', getMqttTransportId('factory'))`
 * @publicApi
 */
export function getMqttTransportId(name: string = defaultName): symbol {
  return Symbol.for(name === defaultName ? 'mqtt' : `mqtt:${name}`);
}

/** What may have been forgotten. @internal */
export const reminders = {
  bootstrap:
    'connected, but handlers receive nothing before the application has bootstrapped: call app.init() or app.listen() after app.startAllMicroservices()',
  listen:
    'what was given to subscribe() receives nothing before the server listens: connect it (app.connectMicroservice({ strategy: server })) and start it',
} as const;
