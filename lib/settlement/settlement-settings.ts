import { MqttArgumentError } from '../eventloop/errors.js';
import type { IncomingMessage, QoS } from '../eventloop/messages.js';
import type { OptionChecks } from '../eventloop/option-checks.js';
import type { AcknowledgeMode } from '../eventloop/options.js';
import type { MqttOrdering, MqttRetryOptions } from '../interfaces/settlement-options.interface.js';
import { DeadLetterTopic } from './dead-letter-topic.js';
import { expectedRefusal, refusalReasons, unspecifiedError } from './refusals.js';

const dayMs = 86_400_000;
const defaultRedeliverAfterMs = 60_000;
const settlementOptions = [
  'acknowledge',
  'concurrency',
  'ordering',
  'handlerTimeoutMs',
  'retry',
  'deadLetter',
  'onFailure',
] as const;

/** @internal */
export type RetrySettings = Readonly<
  Required<{ [Option in Exclude<keyof MqttRetryOptions, 'when'>]: NonNullable<MqttRetryOptions[Option]> }>
> &
  Pick<MqttRetryOptions, 'when'>;

/** @internal */
export interface DeadLetterSettings {
  readonly topic: DeadLetterTopic;
  readonly qos: QoS;
  readonly retain: boolean;
}

/** @internal */
export type FailureAction =
  | { readonly action: 'acknowledge' }
  | { readonly action: 'reject'; readonly reasonCode: number }
  | { readonly action: 'leave'; readonly redeliverAfterMs: number };

/** Settlement options with every default filled in. @internal */
export interface SettlementSettings {
  readonly acknowledge: AcknowledgeMode;
  readonly concurrency: number | undefined;
  readonly ordering: 'none' | ((message: IncomingMessage) => string);
  /** 0 = no limit. */
  readonly handlerTimeoutMs: number;
  readonly retry: RetrySettings | undefined;
  readonly deadLetter: DeadLetterSettings | undefined;
  readonly onFailure: FailureAction;
}

/** @internal */
export const defaultSettlement: SettlementSettings = Object.freeze({
  acknowledge: 'after-handler',
  concurrency: undefined,
  ordering: 'none',
  handlerTimeoutMs: 0,
  retry: undefined,
  deadLetter: undefined,
  onFailure: Object.freeze({ action: 'reject', reasonCode: unspecifiedError }),
});

/** @internal */
export function isSettlementOption(option: string): boolean {
  return (settlementOptions as readonly string[]).includes(option);
}

/**
 * Reads the settlement options of a module or of a handler.
 *
 * @param defaults - what holds for those that are not given
 * @param isSessionResumed - whether the broker sends again what was not acknowledged
 * @internal
 */
export function readSettlement(
  given: Readonly<Record<string, unknown>>,
  defaults: SettlementSettings,
  isSessionResumed: boolean,
  checks: OptionChecks,
): SettlementSettings {
  const reader = new SettlementReader(checks, isSessionResumed);
  return Object.freeze({
    acknowledge: checks.oneOf<AcknowledgeMode>(
      'acknowledge',
      given['acknowledge'],
      ['on-receive', 'after-handler', 'manual'],
      defaults.acknowledge,
    ),
    concurrency: given['concurrency'] === undefined ? defaults.concurrency : reader.concurrency(given['concurrency']),
    ordering: given['ordering'] === undefined ? defaults.ordering : reader.ordering(given['ordering']),
    handlerTimeoutMs: checks.integer(
      'handlerTimeoutMs',
      given['handlerTimeoutMs'],
      0,
      dayMs,
      defaults.handlerTimeoutMs,
    ),
    retry: given['retry'] === undefined ? defaults.retry : reader.retry(given['retry']),
    deadLetter: given['deadLetter'] === undefined ? defaults.deadLetter : reader.deadLetter(given['deadLetter']),
    onFailure: given['onFailure'] === undefined ? defaults.onFailure : reader.onFailure(given['onFailure']),
  });
}

/** Reads one option each; what is wrong is reported and replaced by something harmless. */
class SettlementReader {
  readonly #checks: OptionChecks;
  readonly #isSessionResumed: boolean;

  constructor(checks: OptionChecks, isSessionResumed: boolean) {
    this.#checks = checks;
    this.#isSessionResumed = isSessionResumed;
  }

  concurrency(value: unknown): number {
    return this.#checks.integer('concurrency', value, 1, 65_535, 1);
  }

  ordering(value: unknown): SettlementSettings['ordering'] {
    if (value === 'topic') return orderByTopic;
    if (typeof value === 'function') return value as Exclude<MqttOrdering, string>;
    if (value !== 'none')
      this.#report('ordering', value, '"none", "topic" or a function that returns the key of a message');
    return 'none';
  }

  retry(value: unknown): RetrySettings | undefined {
    if (value === false) return undefined;
    if (!isObject(value)) return this.#report('retry', value, 'an object such as { attempts: 5 }, or false');
    this.#known('retry', value, ['attempts', 'minDelayMs', 'maxDelayMs', 'factor', 'jitter', 'when']);
    const minDelayMs = this.#integer('retry.minDelayMs', value['minDelayMs'], 1, dayMs, 1_000);
    return Object.freeze({
      attempts: this.#integer('retry.attempts', value['attempts'], 1, 1_000, 5),
      minDelayMs,
      maxDelayMs: this.#integer(
        'retry.maxDelayMs',
        value['maxDelayMs'],
        minDelayMs,
        dayMs,
        Math.max(minDelayMs, 60_000),
      ),
      factor: this.#checks.number('retry.factor', value['factor'], 1, 100, 2),
      jitter: this.#checks.oneOf<'full' | 'none'>('retry.jitter', value['jitter'], ['full', 'none'], 'full'),
      when: this.#when(value['when']),
    });
  }

  deadLetter(value: unknown): DeadLetterSettings | undefined {
    if (value === false) return undefined;
    const options = typeof value === 'string' ? { topic: value } : value;
    if (!isObject(options))
      return this.#report('deadLetter', value, 'a topic such as "dead/{topic}", options, or false');
    this.#known('deadLetter', options, ['topic', 'qos', 'retain']);
    const template = options['topic'] ?? 'dead/{topic}';
    let topic: DeadLetterTopic;
    try {
      topic = new DeadLetterTopic(template);
    } catch (error) {
      if (!(error instanceof MqttArgumentError)) throw error;
      return this.#report('deadLetter.topic', template, error.expected);
    }
    return Object.freeze({
      topic,
      qos: this.#checks.oneOf<QoS>('deadLetter.qos', options['qos'], [0, 1, 2], 1),
      retain: this.#checks.boolean('deadLetter.retain', options['retain'], false),
    });
  }

  onFailure(value: unknown): FailureAction {
    const { action, ...rest } = isObject(value) ? value : { action: value };
    if (action === 'acknowledge' && Object.keys(rest).length === 0) return { action };
    if (action === 'reject') return this.#reject(value, rest);
    if (action === 'leave') return this.#leave(value, rest);
    this.#report(
      'onFailure',
      value,
      '"acknowledge", "reject", "leave", { action: "reject", reasonCode } or { action: "leave", redeliverAfterMs }',
    );
    return defaultSettlement.onFailure;
  }

  #reject(value: unknown, { reasonCode = unspecifiedError, ...rest }: Record<string, unknown>): FailureAction {
    this.#known('onFailure', rest, ['action', 'reasonCode']);
    if (!refusalReasons.has(reasonCode)) {
      this.#report('onFailure.reasonCode', isObject(value) ? value['reasonCode'] : value, expectedRefusal);
    }
    return Object.freeze({ action: 'reject', reasonCode: reasonCode as number });
  }

  #leave(
    value: unknown,
    { redeliverAfterMs = defaultRedeliverAfterMs, ...rest }: Record<string, unknown>,
  ): FailureAction {
    this.#known('onFailure', rest, ['action', 'redeliverAfterMs']);
    if (redeliverAfterMs !== 0) {
      this.#integer('onFailure.redeliverAfterMs', redeliverAfterMs, 1_000, dayMs, defaultRedeliverAfterMs);
    }
    if (!this.#isSessionResumed) {
      this.#report(
        'onFailure',
        value,
        'a session that outlives its connection, else the broker forgets what is left to it: set clean: false and a clientId, or choose another action',
      );
    }
    return Object.freeze({ action: 'leave', redeliverAfterMs: redeliverAfterMs as number });
  }

  #when(value: unknown): RetrySettings['when'] {
    if (value === undefined || typeof value === 'function') return value as RetrySettings['when'];
    return this.#report('retry.when', value, 'a function that returns whether an error is worth another attempt');
  }

  #integer(option: string, value: unknown, least: number, most: number, fallback: number): number {
    return this.#checks.integer(option, value, least, most, fallback);
  }

  #known(option: string, value: object, known: readonly string[]): void {
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) this.#report(`${option}.${key}`, '…', `no such option; known are ${known.join(', ')}`);
    }
  }

  #report(option: string, value: unknown, expected: string): undefined {
    this.#checks.report(option, value, expected);
  }
}

export function orderByTopic(message: IncomingMessage): string {
  return message.topic;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
