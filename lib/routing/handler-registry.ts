import type { MessageHandler } from '@nestjs/microservices';
import { MqttHandlersError, type MqttHandlerIssue } from '../mqtt.errors.js';
import type { NestOptions } from '../mqtt.options.js';
import { resolvePattern } from './declared-pattern.js';
import { registerHandler, type RegisteredHandler } from './handler.js';
import type { Router } from './router.js';

/**
 * Takes handlers as they are declared. What is wrong with them is kept, so that the start can tell all of it at once.
 *
 * @internal
 */
export class HandlerRegistry {
  readonly #router: Router;
  readonly #options: NestOptions;
  readonly #normalizePattern: (pattern: never) => string;
  readonly #issues: MqttHandlerIssue[] = [];
  #registered = 0;

  constructor(router: Router, options: NestOptions, normalizePattern: (pattern: never) => string) {
    this.#router = router;
    this.#options = options;
    this.#normalizePattern = normalizePattern;
  }

  /** @returns undefined for a handler that cannot work */
  add(
    pattern: unknown,
    callback: MessageHandler,
    isEvent: boolean,
    extras: Readonly<Record<string, unknown>>,
  ): RegisteredHandler | undefined {
    try {
      const handler = this.read(pattern, callback, isEvent, extras);
      this.#router.add(handler);
      return handler;
    } catch (error) {
      if (!(error instanceof MqttHandlersError)) throw error;
      this.#issues.push(...error.issues);
      return undefined;
    }
  }

  /** @throws MqttHandlersError when handlers cannot work */
  assertAllWork(): void {
    if (this.#issues.length > 0) throw new MqttHandlersError([...this.#issues]);
  }

  /** Filters with several message handlers, of which only the first answers. */
  rivals(): Map<string, number> {
    const answering = new Map<string, number>();
    for (const { pattern, isEvent } of this.#router.handlers) {
      if (!isEvent) answering.set(pattern.filter, (answering.get(pattern.filter) ?? 0) + 1);
    }
    return new Map([...answering].filter(([, count]) => count > 1));
  }

  /**
   * Reads a handler without adding it.
   *
   * @throws MqttHandlersError naming each mistake
   */
  read(
    pattern: unknown,
    callback: MessageHandler,
    isEvent: boolean,
    extras: Readonly<Record<string, unknown>>,
  ): RegisteredHandler {
    const { patternValues, subscribeQos, share, topicPrefix, settlement, payload, isSessionResumed } = this.#options;
    return registerHandler(
      this.#normalizePattern(resolvePattern(pattern, patternValues) as never),
      callback,
      isEvent,
      extras,
      this.#registered++,
      { qos: subscribeQos, share, topicPrefix, settlement, payload, isSessionResumed },
    );
  }
}
