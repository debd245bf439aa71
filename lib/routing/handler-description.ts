import type { QoS, SubscribeOptions } from '../eventloop/messages.js';
import type { AcknowledgeMode } from '../eventloop/options.js';
import { orderByTopic } from '../settlement/settlement-settings.js';
import type { RegisteredHandler } from './handler.js';
import { toJsonSchema } from './payload-schema.js';

/** What was declared about a handler, with every default filled in. Plain data. @publicApi */
export interface MqttHandlerDescription extends SubscribeOptions {
  /** As declared, with the names of its wildcards and without the module's `topicPrefix`. */
  readonly pattern: string;
  /** What topics are compared with, the `topicPrefix` included. */
  readonly filter: string;
  /** What the broker is asked for: the filter, with `$share/group/` where the handler shares. */
  readonly subscription: string;
  /** Names of the wildcards in order; undefined for one without a name. */
  readonly parameters: readonly (string | undefined)[];
  /** `message` handlers answer requests. */
  readonly kind: 'event' | 'message';
  readonly qos: QoS;
  readonly share: string | undefined;
  /** The name of the codec, or the content type of one of your own. */
  readonly codec: string;
  /** Undefined: none in particular. */
  readonly contentType: string | undefined;
  /** The handler's `payloadSchema` as JSON Schema (draft 07). */
  readonly payloadSchema: Readonly<Record<string, unknown>> | undefined;
  readonly acknowledge: AcknowledgeMode;
  readonly concurrency: number | undefined;
  /** `key`: by a function. */
  readonly ordering: 'none' | 'topic' | 'key';
  readonly handlerTimeoutMs: number;
  /** Runs in all, the first one included. */
  readonly attempts: number;
  /** The template of the topic; `{topic}` stands for the message's topic without the `topicPrefix`, if the template begins with it. */
  readonly deadLetterTopic: string | undefined;
  readonly onFailure: 'acknowledge' | 'reject' | 'leave';
}

/** How the runs of a handler ended; an attempt that is tried again is not the end. @publicApi */
export interface MqttHandlerStats {
  /** As declared. */
  readonly pattern: string;
  readonly kind: 'event' | 'message';
  readonly succeeded: number;
  /** Failed for good. */
  readonly failed: number;
  /** Requests that were answered with an error. */
  readonly answeredErrors: number;
  /** Ended by a shutdown. */
  readonly unfinished: number;
  /** Attempts that were followed by another one. */
  readonly retried: number;
}

/** @internal */
export function describeHandler({
  pattern,
  isEvent,
  subscribe,
  settlement,
  codec,
  payloadSchema,
}: RegisteredHandler): MqttHandlerDescription {
  const { acknowledge, concurrency, ordering, handlerTimeoutMs, retry, deadLetter, onFailure } = settlement;
  return {
    pattern: pattern.declared,
    filter: pattern.filter,
    subscription: pattern.subscription,
    parameters: pattern.wildcards.map(({ name }) => name),
    kind: kindOf(isEvent),
    ...subscribe,
    share: pattern.share,
    codec: codec.name,
    contentType: codec.contentType,
    payloadSchema: payloadSchema && toJsonSchema(pattern.declared, payloadSchema),
    acknowledge,
    concurrency,
    ordering: ordering === 'none' ? 'none' : ordering === orderByTopic ? 'topic' : 'key',
    handlerTimeoutMs,
    attempts: retry?.attempts ?? 1,
    deadLetterTopic: deadLetter?.topic.template,
    onFailure: onFailure.action,
  };
}

/** @internal */
export function describeHandlerStats({ pattern, isEvent, counters }: RegisteredHandler): MqttHandlerStats {
  return { pattern: pattern.declared, kind: kindOf(isEvent), ...counters };
}

function kindOf(isEvent: boolean): 'event' | 'message' {
  return isEvent ? 'event' : 'message';
}
