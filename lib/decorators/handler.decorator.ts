import { EventPattern, MessagePattern } from '@nestjs/microservices';
import type { MqttDecoratorOptions, MqttPattern } from '../interfaces/handler-options.interface.js';
import { getMqttTransportId } from '../mqtt.constants.js';

/** Nest's decorators take these arguments on every version; only the types differ. */
type PatternDecorator = (
  pattern: unknown,
  transport: symbol | undefined,
  extras: Readonly<Record<string, unknown>>,
) => MethodDecorator;

/**
 * Handles events: Nest's `@EventPattern` with the options typed, and without the restriction that Nest 12's types put on
 * the handler's second parameter.
 *
 * @param pattern - several patterns are several handlers: a topic that two of them match runs the method twice
 * @publicApi
 */
export function MqttEvent(
  pattern: MqttPattern | readonly MqttPattern[],
  options?: MqttDecoratorOptions,
): MethodDecorator {
  return decorate(EventPattern as PatternDecorator, pattern, options);
}

/**
 * Answers requests: Nest's `@MessagePattern` with the options typed.
 *
 * @param pattern - several patterns are several handlers
 * @publicApi
 */
export function MqttMessage(
  pattern: MqttPattern | readonly MqttPattern[],
  options?: MqttDecoratorOptions,
): MethodDecorator {
  return decorate(MessagePattern as PatternDecorator, pattern, options);
}

function decorate(
  decorator: PatternDecorator,
  pattern: MqttPattern | readonly MqttPattern[],
  { name, ...extras }: MqttDecoratorOptions = {},
): MethodDecorator {
  return decorator(pattern, name === undefined ? undefined : getMqttTransportId(name), extras);
}
