import type { MessageHandler } from '@nestjs/microservices';
import type { QoS, SubscribeOptions } from '../eventloop/messages.js';
import { OptionChecks } from '../eventloop/option-checks.js';
import type { MqttPayloadSchema } from '../interfaces/handler-options.interface.js';
import { MqttHandlersError } from '../mqtt.errors.js';
import { readPayloadSettings, type PayloadSettings } from '../serialization/payload-settings.js';
import { planSettlement, type SettlementPlan } from '../settlement/settlement-plan.js';
import { readSettlement, type SettlementSettings } from '../settlement/settlement-settings.js';
import { readPayloadSchema } from './payload-schema.js';
import { parsePattern, type TopicPattern } from './pattern.js';

/** What holds for handlers that do not say otherwise. @internal */
export interface HandlerDefaults {
  readonly qos: QoS;
  /** The group of all handlers. */
  readonly share?: string | undefined;
  /** What comes before topics that are not declared absolute. */
  readonly topicPrefix?: string | undefined;
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
  readonly payloadSchema: MqttPayloadSchema | undefined;
  readonly counters: HandlerCounters;
}

/**
 * Reads a handler's pattern and extras. Extras with names of other packages are theirs and are left alone.
 *
 * @throws MqttHandlersError naming each mistake
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
  const read = <T>(option: string, accepted: readonly T[]): T | undefined =>
    checks.oneOf<T | undefined>(option, extras[option], accepted, undefined);
  const qos = read<QoS>('qos', [0, 1, 2]) ?? defaults.qos;
  const noLocal = read('noLocal', [true, false]);
  const retainAsPublished = read('retainAsPublished', [true, false]);
  const retainHandling = read<0 | 1 | 2>('retainHandling', [0, 1, 2]);
  const settings = readSettlement(extras, defaults.settlement, defaults.isSessionResumed, checks);
  const payload = readPayloadSettings(extras, defaults.payload, checks);
  const prefix = checks.boolean('absolute', extras['absolute'], false) ? undefined : defaults.topicPrefix;
  const payloadSchema = readPayloadSchema(extras['payloadSchema'], checks);
  const pattern = readPattern(declared, extras['share'], { ...defaults, topicPrefix: prefix }, checks);
  if (noLocal === true && pattern?.share !== undefined) {
    checks.report('noLocal', true, 'false: MQTT forbids it on shared subscriptions [MQTT-3.8.3-4]');
  }
  if (pattern === undefined || checks.issues.length > 0) {
    throw new MqttHandlersError(checks.issues.map((issue) => ({ pattern: declared, ...issue })));
  }
  return Object.freeze({
    pattern,
    callback,
    isEvent,
    index,
    subscribe: Object.freeze({ qos, noLocal, retainAsPublished, retainHandling }),
    settlement: planSettlement(settings, prefix),
    payloadSchema,
    counters: { succeeded: 0, failed: 0, answeredErrors: 0, unfinished: 0, retried: 0 },
    ...payload,
  });
}

function readPattern(
  declared: string,
  share: unknown,
  defaults: HandlerDefaults,
  checks: OptionChecks,
): TopicPattern | undefined {
  if (share !== undefined && share !== false && typeof share !== 'string') {
    checks.report('share', share, 'the name of a group, or false');
  }
  const group = typeof share === 'string' ? share : share === false ? undefined : groupFor(declared, defaults);
  let pattern: TopicPattern | undefined;
  checks.argument(() => (pattern = parsePattern(declared, group, defaults.topicPrefix)));
  return pattern;
}

/** A pattern that names its group keeps it. */
function groupFor(declared: string, { share }: HandlerDefaults): string | undefined {
  return declared.startsWith('$share/') ? undefined : share;
}
