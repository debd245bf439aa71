import { EventPattern, MessagePattern } from '@nestjs/microservices';
import type {
  MqttDecoratorOptions,
  MqttPattern,
  MqttPatternFunction,
} from '../interfaces/handler-options.interface.js';
import { getMqttTransportId } from '../mqtt.constants.js';

type DeclaredPattern = MqttPattern | MqttPatternFunction;

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
 * @param pattern - several patterns are several handlers: a topic that two of them match runs the method twice; a function makes
 *   its pattern of the module's `patternValues`
 * @publicApi
 */
export function MqttEvent(
  pattern: DeclaredPattern | readonly DeclaredPattern[],
  options?: MqttDecoratorOptions,
): MethodDecorator {
  return decorate(EventPattern as PatternDecorator, pattern, options);
}

/**
 * Answers requests: Nest's `@MessagePattern` with the options typed.
 *
 * @param pattern - several patterns are several handlers; a function makes its pattern of the module's `patternValues`
 * @publicApi
 */
export function MqttMessage(
  pattern: DeclaredPattern | readonly DeclaredPattern[],
  options?: MqttDecoratorOptions,
): MethodDecorator {
  return decorate(MessagePattern as PatternDecorator, pattern, options);
}

function decorate(
  decorator: PatternDecorator,
  pattern: DeclaredPattern | readonly DeclaredPattern[],
  { name, ...extras }: MqttDecoratorOptions = {},
): MethodDecorator {
  return decorator(pattern, name === undefined ? undefined : getMqttTransportId(name), extras);
}
