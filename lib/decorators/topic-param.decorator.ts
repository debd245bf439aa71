import { createParamDecorator, type ExecutionContext, type PipeTransform, type Type } from '@nestjs/common';
import type { MqttContext } from '../mqtt.context.js';

type Pipe = Type<PipeTransform> | PipeTransform;

const topicParam = createParamDecorator((key: string | number, context: ExecutionContext) =>
  context.switchToRpc().getContext<MqttContext>().getTopicParam(key),
);

const topicParams = createParamDecorator((_: undefined, context: ExecutionContext) =>
  context.switchToRpc().getContext<MqttContext>().getTopicParams(),
);

/**
 * What a wildcard of the handler's pattern stands for in the topic: `@TopicParam('plant')` for `+plant` or `#plant`,
 * `@TopicParam(0)` for the first wildcard.
 *
 * @publicApi
 */
export function TopicParam(key: string | number, ...pipes: Pipe[]): ParameterDecorator {
  return topicParam(key, ...pipes);
}

/**
 * What all wildcards stand for, by name, or by position where they have none.
 *
 * @publicApi
 */
export function TopicParams(...pipes: Pipe[]): ParameterDecorator {
  return topicParams(...pipes);
}
