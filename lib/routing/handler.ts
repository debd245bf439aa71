import type { MessageHandler } from '@nestjs/microservices';
import { MqttOptionsError } from '../eventloop/errors.js';
import type { QoS, SubscribeOptions } from '../eventloop/messages.js';
import { OptionChecks } from '../eventloop/option-checks.js';
import { readPayloadSettings, type PayloadSettings } from '../serialization/payload-settings.js';
import { planSettlement, type SettlementPlan } from '../settlement/settlement-plan.js';
import { readSettlement, type SettlementSettings } from '../settlement/settlement-settings.js';
import { parsePattern, type TopicPattern } from './pattern.js';

/** What holds for handlers that do not say otherwise. @internal */
export interface HandlerDefaults {
  readonly qos: QoS;
  /** The group of all handlers. */
  readonly share?: string | undefined;
  readonly settlement: SettlementSettings;
  readonly payload: PayloadSettings;
  /** Whether the broker keeps the session from one connection to the next. */
  readonly isSessionResumed: boolean;
}

/** How often a handler's runs ended in which way. @internal */
export interface HandlerCounters {
  succeeded: number;
  failed: number;
  answeredErrors: number;
  unfinished: number;
  retried: number;
}

/** A registered handler with everything that was declared about it. @internal */
export interface RegisteredHandler extends PayloadSettings {
  readonly pattern: TopicPattern;
  readonly callback: MessageHandler;
  readonly isEvent: boolean;
  /** Order of registration. */
  readonly index: number;
  readonly subscribe: SubscribeOptions & { readonly qos: QoS };
  readonly settlement: SettlementPlan;
  readonly counters: HandlerCounters;
}

/**
 * Reads a handler's pattern and extras. Extras with names of other packages are theirs and are left alone.
 *
 * @throws MqttOptionsError naming the handler and each mistake
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
  const checks = new OptionChecks();
  const label = (option: string): string => `${option} of the handler for "${declared}"`;
  const read = <T>(option: string, accepted: readonly T[]): T | undefined =>
    checks.oneOf<T | undefined>(label(option), extras[option], accepted, undefined);
  const qos = read<QoS>('qos', [0, 1, 2]) ?? defaults.qos;
  const share = extras['share'] as string | false | undefined;
  if (share !== undefined && share !== false && typeof share !== 'string') {
    checks.report(label('share'), share, 'the name of a group, or false');
  }
  const noLocal = read('noLocal', [true, false]);
  const retainAsPublished = read('retainAsPublished', [true, false]);
  const retainHandling = read<0 | 1 | 2>('retainHandling', [0, 1, 2]);
  const settings = readSettlement(extras, defaults.settlement, defaults.isSessionResumed, checks, label);
  const payload = readPayloadSettings(extras, defaults.payload, checks, label);
  checks.finish();

  const pattern = parsePattern(declared, share === false ? undefined : (share ?? groupFor(declared, defaults)));
  if (noLocal === true && pattern.share !== undefined) {
    throw new MqttOptionsError([
      {
        option: label('noLocal'),
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
    settlement: planSettlement(settings),
    counters: { succeeded: 0, failed: 0, answeredErrors: 0, unfinished: 0, retried: 0 },
    ...payload,
  });
}

/** A pattern that names its group keeps it. */
function groupFor(declared: string, { share }: HandlerDefaults): string | undefined {
  return declared.startsWith('$share/') ? undefined : share;
}
