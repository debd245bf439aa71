import { Inject } from '@nestjs/common';
import { getMqttClientToken, getMqttEventLoopToken, getMqttServerToken } from '../mqtt.tokens.js';

/**
 * Injects the client of a registration.
 *
 * @param name - that of the registration, if it has one
 * @publicApi
 */
export function InjectMqttClient(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getMqttClientToken(name));
}

/**
 * Injects the server of a registration.
 *
 * @param name - that of the registration, if it has one
 * @publicApi
 */
export function InjectMqttServer(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getMqttServerToken(name));
}

/**
 * Injects the event loop that server and client of a registration share.
 *
 * @param name - that of the registration, if it has one
 * @publicApi
 */
export function InjectMqttEventLoop(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getMqttEventLoopToken(name));
}
