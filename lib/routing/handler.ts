import type { MessageHandler } from '@nestjs/microservices';
import { MqttOptionsError, type OptionIssue } from '../eventloop/errors.js';
import type { QoS, SubscribeOptions } from '../eventloop/messages.js';
import type { AcknowledgeMode } from '../eventloop/options.js';
import { ConcurrencyGate } from '../settlement/concurrency-gate.js';
import { parsePattern, type TopicPattern } from './pattern.js';

/** What holds for handlers that do not say otherwise. @internal */
export interface HandlerDefaults {
  readonly qos: QoS;
  readonly acknowledge: AcknowledgeMode;
  readonly concurrency: number | undefined;
}

/** A registered handler with everything that was declared about it. @internal */
export interface RegisteredHandler {
  readonly pattern: TopicPattern;
  readonly callback: MessageHandler;
  readonly isEvent: boolean;
  /** Order of registration. */
  readonly index: number;
  readonly subscribe: SubscribeOptions & { readonly qos: QoS };
  readonly acknowledge: AcknowledgeMode;
  readonly gate: ConcurrencyGate | undefined;
}

/**
 * Reads a handler's pattern and extras. Extras with names of other packages are theirs and are left alone.
 *
 * @internal
 */
export function registerHandler(
  declared: string,
  callback: MessageHandler,
  isEvent: boolean,
  extras: Readonly<Record<string, unknown>>,
  index: number,
  defaults: HandlerDefaults,
): RegisteredHandler {
  const issues: OptionIssue[] = [];
  const read = <T>(option: string, accepts: (value: unknown) => boolean, expected: string): T | undefined => {
    const value = extras[option];
    if (value === undefined) return undefined;
    if (accepts(value)) return value as T;
    issues.push({ option: `${option} of the handler for "${declared}"`, value: describe(value), expected });
    return undefined;
  };
  const qos = read<QoS>('qos', oneOf(0, 1, 2), '0, 1 or 2') ?? defaults.qos;
  const share = read<string>('share', (value) => typeof value === 'string', 'the name of a group');
  const noLocal = read<boolean>('noLocal', oneOf(true, false), 'true or false');
  const retainAsPublished = read<boolean>('retainAsPublished', oneOf(true, false), 'true or false');
  const retainHandling = read<0 | 1 | 2>('retainHandling', oneOf(0, 1, 2), '0, 1 or 2');
  const acknowledge =
    read<AcknowledgeMode>(
      'acknowledge',
      oneOf('on-receive', 'after-handler', 'manual'),
      '"on-receive", "after-handler" or "manual"',
    ) ?? defaults.acknowledge;
  const concurrency =
    read<number>('concurrency', isConcurrency, 'a whole number from 1 to 65535') ?? defaults.concurrency;
  if (issues.length > 0) throw new MqttOptionsError(issues);

  const pattern = parsePattern(declared, share);
  if (noLocal === true && pattern.share !== undefined) {
    throw new MqttOptionsError([
      {
        option: `noLocal of the handler for "${declared}"`,
        value: 'true',
        expected: 'false: MQTT forbids it on shared subscriptions [MQTT-3.8.3-4]',
      },
    ]);
  }
  return Object.freeze({
    pattern,
    callback,
    isEvent,
    index,
    subscribe: Object.freeze({ qos, noLocal, retainAsPublished, retainHandling }),
    acknowledge,
    gate: concurrency === undefined ? undefined : new ConcurrencyGate(concurrency),
  });
}

/** @internal */
export function isConcurrency(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535;
}

function oneOf(...accepted: unknown[]): (value: unknown) => boolean {
  return (value) => accepted.includes(value);
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
