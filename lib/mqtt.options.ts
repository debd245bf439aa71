import { createHash, randomBytes } from 'node:crypto';
import { MqttOptionsError, type OptionIssue } from './eventloop/errors.js';
import { EventLoop } from './eventloop/event-loop.js';
import type { QoS } from './eventloop/messages.js';
import { OptionChecks } from './eventloop/option-checks.js';
import type { EventLoopRuntime } from './eventloop/runtime.js';
import { assertTopicName } from './eventloop/topics.js';
import type { MqttModuleOptions, MqttReplyMode } from './interfaces/module-options.interface.js';
import { readPresence, renameWillIssue, type PresenceSettings } from './presence/presence-settings.js';
import type { MqttTracing } from './interfaces/tracing.interface.js';
import { isShareGroup } from './routing/pattern.js';
import { withPrefix } from './routing/topic-prefix.js';
import { readContentTypeCodecs, type CodecsByContentType } from './serialization/codecs.js';
import { defaultPayload, readPayloadSettings, type PayloadSettings } from './serialization/payload-settings.js';
import {
  defaultSettlement,
  isSettlementOption,
  readSettlement,
  type SettlementSettings,
} from './settlement/settlement-settings.js';

/** The options of server and client with every default filled in. @internal */
export interface NestOptions extends CheckedOptions {
  /** What patterns that are functions are called with. */
  readonly patternValues: unknown;
  /** The client's private reply topic. */
  readonly inboxTopic: string;
  /** The broker keeps the session, and its subscriptions, over restarts of the application. */
  readonly isSessionKept: boolean;
  /** The broker keeps the session from one connection to the next. */
  readonly isSessionResumed: boolean;
  /** What holds for handlers that do not say otherwise. */
  readonly settlement: SettlementSettings;
  readonly payload: PayloadSettings;
  readonly presence: PresenceSettings | undefined;
  /** The codecs that content types may select. */
  readonly contentTypeCodecs: CodecsByContentType | undefined;
}

interface CheckedOptions {
  readonly subscribeQos: QoS;
  readonly share: string | undefined;
  readonly topicPrefix: string | undefined;
  readonly serverConcurrency: number | undefined;
  readonly requestQos: QoS;
  readonly requestTimeoutMs: number;
  readonly maxPendingRequests: number;
  readonly replyMode: MqttReplyMode;
  readonly inboxPrefix: string;
  readonly drainTimeoutMs: number;
  readonly tracing: MqttTracing | undefined;
  readonly onSubscriptionRefused: 'fail' | 'report';
}

const payloadOptions: ReadonlySet<string> = new Set(['codec', 'onUndecodable', 'contentTypeCodecs']);

const isQos = (value: unknown): boolean => value === 0 || value === 1 || value === 2;
const isWhole = (least: number, most: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

const checks: {
  readonly [Option in keyof CheckedOptions]: readonly [accepts: (value: unknown) => boolean, expected: string];
} = {
  subscribeQos: [isQos, '0, 1 or 2'],
  share: [isShareGroup, 'a group name without "/", "+" and "#"'],
  topicPrefix: [isTopicPrefix, 'a topic without wildcards, not ending in "/", and no "$share/…"'],
  serverConcurrency: [isWhole(1, 65_535), 'a whole number from 1 to 65535'],
  requestQos: [isQos, '0, 1 or 2'],
  requestTimeoutMs: [isWhole(0, 86_400_000), 'whole milliseconds from 0 (no limit) to 86400000'],
  maxPendingRequests: [isWhole(1, 10_000_000), 'a whole number from 1 to 10000000'],
  replyMode: [
    (value) => value === 'auto' || value === 'private' || value === 'builtin',
    '"auto", "private" or "builtin"',
  ],
  inboxPrefix: [isTopic, 'a topic without wildcards, not ending in "/"'],
  onSubscriptionRefused: [(value) => value === 'fail' || value === 'report', '"fail" or "report"'],
  drainTimeoutMs: [isWhole(0, 3_600_000), 'whole milliseconds from 0 to 3600000'],
  tracing: [isTracing, 'openTelemetry() of nestjs-rumqtt/opentelemetry, or an object with send and process'],
};

const defaults: CheckedOptions = {
  subscribeQos: 1,
  share: undefined,
  topicPrefix: undefined,
  serverConcurrency: undefined,
  requestQos: 1,
  requestTimeoutMs: 30_000,
  maxPendingRequests: 65_536,
  replyMode: 'auto',
  inboxPrefix: 'nestjs-rumqtt/inbox',
  drainTimeoutMs: 10_000,
  tracing: undefined,
  onSubscriptionRefused: 'report',
};

/**
 * Takes module options apart and makes the event loop; every mistake in either part is reported at once.
 *
 * @throws MqttOptionsError
 * @internal
 */
export function createEventLoop(
  options: MqttModuleOptions,
  runtime: EventLoopRuntime,
): { loop: EventLoop; nest: NestOptions } {
  const loopOptions: Record<string, unknown> = {};
  const nest: Record<string, unknown> = { ...defaults };
  const settlement: Record<string, unknown> = {};
  const payload: Record<string, unknown> = {};
  const issues: OptionIssue[] = [];
  for (const [option, value] of Object.entries(options)) {
    if (option === 'name' || option === 'presence' || option === 'patternValues') continue;
    if (isSettlementOption(option)) settlement[option] = value;
    else if (payloadOptions.has(option)) payload[option] = value;
    else if (!Object.hasOwn(checks, option)) loopOptions[option] = value;
    else if (value !== undefined) {
      const [accepts, expected] = checks[option as keyof CheckedOptions];
      if (accepts(value)) nest[option] = value;
      else issues.push({ option, value: typeof value === 'string' ? JSON.stringify(value) : String(value), expected });
    }
  }
  const isSessionResumed = options.clean === false || (options.sessionExpirySeconds ?? 0) > 0;
  const optionChecks = new OptionChecks();
  nest['settlement'] = readSettlement(settlement, defaultSettlement, isSessionResumed, optionChecks);
  nest['payload'] = readPayloadSettings(payload, defaultPayload, optionChecks);
  nest['contentTypeCodecs'] = readContentTypeCodecs(payload['contentTypeCodecs'], optionChecks);
  const topicPrefix = nest['topicPrefix'] as string | undefined;
  const presence = readPresence(options.presence, options.will, topicPrefix, optionChecks);
  nest['presence'] = presence;
  issues.push(...optionChecks.issues);
  // The server settles each message itself when its handlers have: by returning, as this mode asks for.
  loopOptions['acknowledge'] = 'after-handler';
  loopOptions['receiveMaximum'] ??= backlogOf(nest['serverConcurrency'] as number | undefined);
  if (presence !== undefined) loopOptions['will'] = presence.will;
  try {
    const loop = new EventLoop(loopOptions, runtime);
    if (issues.length === 0) {
      nest['inboxTopic'] = withPrefix(topicPrefix, `${nest['inboxPrefix'] as string}/${inboxName(options)}`);
      nest['patternValues'] = options.patternValues;
      nest['isSessionKept'] = options.clean === false;
      nest['isSessionResumed'] = isSessionResumed;
      return { loop, nest: Object.freeze(nest) as unknown as NestOptions };
    }
  } catch (error) {
    if (!(error instanceof MqttOptionsError)) throw error;
    issues.push(...(presence === undefined ? error.issues : error.issues.map(renameWillIssue)));
  }
  throw new MqttOptionsError(issues);
}

/** As many again as are worked on, so that no handler waits for the network, and never less than the event loop's own default. */
function backlogOf(serverConcurrency: number | undefined): number | undefined {
  return serverConcurrency === undefined ? undefined : Math.min(65_535, Math.max(100, 2 * serverConcurrency));
}

/** In a session that outlives the process the inbox stays the same: the broker would collect one more with every start. */
function inboxName({ clean, clientId }: MqttModuleOptions): string {
  return clean === false && clientId !== undefined
    ? createHash('sha256').update(clientId).digest('base64url').slice(0, 22)
    : randomBytes(16).toString('base64url');
}

function isTracing(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { send, process } = value as Partial<MqttTracing>;
  return typeof send === 'function' && typeof process === 'function';
}

function isTopic(value: unknown): boolean {
  try {
    assertTopicName(value as string);
    return !(value as string).endsWith('/');
  } catch {
    return false;
  }
}

function isTopicPrefix(value: unknown): boolean {
  return isTopic(value) && !/^\$share(\/|$)/.test(value as string);
}
