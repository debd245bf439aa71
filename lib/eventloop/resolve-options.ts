import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { asBuffer } from './codec/encoder.js';
import { assertPublishProperties, assertUserProperties } from './codec/publish-properties.js';
import type { Authentication } from './credentials/authentication.js';
import { credentialsProblem } from './credentials/resolve-credentials.js';
import type { Credentials, CredentialsProvider } from './credentials/credentials.js';
import { hidden } from './hidden.js';
import { OptionChecks } from './option-checks.js';
import type { EventLoopOptions, ResolvedOptions, ThrottleOptions, Will } from './options.js';
import { resolveProxy } from './resolve-proxy.js';
import { resolveReconnect } from './resolve-reconnect.js';
import { resolveTls } from './resolve-tls.js';
import { resolveWebSocket } from './resolve-websocket.js';
import { parseServers } from './server-url.js';
import { RESERVED_IDS } from './session/packet-ids.js';
import { assertText } from './text.js';
import { assertTopicName } from './topics.js';

const KIB = 1_024;
const MIB = 1_048_576;
const UINT16 = 0xffff;
const UINT32 = 0xffff_ffff;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MANY = 10_000_000;
const LARGEST_PACKET_BYTES = 268_435_460;
const MOST_QUEUE_BYTES = 2 ** 40;

const KNOWN = [
  'url',
  'protocolVersion',
  'clientId',
  'clean',
  'sessionExpirySeconds',
  'keepAliveSeconds',
  'pingTimeoutMs',
  'tls',
  'webSocket',
  'connect',
  'proxy',
  'connectTimeoutMs',
  'credentials',
  'renewBeforeSeconds',
  'authentication',
  'will',
  'reconnect',
  'inflight',
  'requestCapacity',
  'requestCapacityBytes',
  'overflow',
  'maxWaiters',
  'throttle',
  'incomingCapacity',
  'incomingCapacityBytes',
  'incomingOverflow',
  'receiveMaximum',
  'topicAliasMaximum',
  'topicAliases',
  'maxPacketBytes',
  'acknowledge',
  'followServerReference',
  'requestResponseInformation',
  'requestProblemInformation',
  'userProperties',
] as const satisfies readonly (keyof EventLoopOptions)[];

/**
 * Fills in defaults, checks every value, and freezes the result.
 *
 * @throws MqttOptionsError with all mistakes
 * @internal
 */
export function resolveOptions(options: EventLoopOptions): ResolvedOptions {
  const checks = new OptionChecks();
  if (typeof options !== 'object' || options === null) {
    checks.report('options', options === null ? null : typeof options, 'an object');
    checks.finish();
  }
  checks.unknownKeys('', options, KNOWN);
  const clean = checks.boolean('clean', options.clean, true);
  const maxPacketBytes = checks.integer('maxPacketBytes', options.maxPacketBytes, 128, LARGEST_PACKET_BYTES, 256 * KIB);
  const servers = parseServers(options.url ?? 'mqtt://localhost:1883', checks);
  const resolved: ResolvedOptions = {
    servers,
    tls: resolveTls(options.tls, servers, checks),
    webSocket: resolveWebSocket(options.webSocket, servers, checks),
    protocolVersion: checks.oneOf('protocolVersion', options.protocolVersion, ['auto', 5, 4] as const, 'auto'),
    clientId: resolveClientId(options.clientId, checks),
    clean,
    // Without this a session that was asked for would end with the connection on MQTT 5, and only there.
    sessionExpirySeconds: checks.integer(
      'sessionExpirySeconds',
      options.sessionExpirySeconds,
      0,
      UINT32,
      clean ? 0 : UINT32,
    ),
    keepAliveSeconds: checks.integer('keepAliveSeconds', options.keepAliveSeconds, 0, UINT16, 60),
    pingTimeoutMs:
      options.pingTimeoutMs === undefined
        ? undefined
        : checks.number('pingTimeoutMs', options.pingTimeoutMs, 1, HOUR_MS, 1),
    connect: checks.callback('connect', options.connect),
    proxy: resolveProxy(options, servers, checks),
    connectTimeoutMs: checks.number('connectTimeoutMs', options.connectTimeoutMs, 1, HOUR_MS, 10_000),
    credentials: resolveCredentialsOption(options.credentials, checks),
    renewBeforeSeconds:
      options.renewBeforeSeconds === undefined
        ? undefined
        : checks.number('renewBeforeSeconds', options.renewBeforeSeconds, 1, DAY_MS / 1_000, 1),
    authentication: resolveAuthentication(options, checks),
    will: resolveWill(options.will, checks),
    reconnect: resolveReconnect(options.reconnect ?? {}, checks),
    inflight: checks.integer('inflight', options.inflight, 1, UINT16 - RESERVED_IDS, 100),
    requestCapacity: checks.integer('requestCapacity', options.requestCapacity, 1, MANY, 1_000),
    requestCapacityBytes: checks.integer(
      'requestCapacityBytes',
      options.requestCapacityBytes,
      KIB,
      MOST_QUEUE_BYTES,
      16 * MIB,
    ),
    overflow: checks.oneOf(
      'overflow',
      options.overflow,
      ['wait', 'reject', 'drop-oldest', 'drop-newest'] as const,
      'wait',
    ),
    maxWaiters: checks.integer('maxWaiters', options.maxWaiters, 0, MANY, 10_000),
    throttle: resolveThrottle(options.throttle, checks),
    incomingCapacity: checks.integer('incomingCapacity', options.incomingCapacity, 1, MANY, 1_000),
    incomingCapacityBytes: checks.integer(
      'incomingCapacityBytes',
      options.incomingCapacityBytes,
      KIB,
      MOST_QUEUE_BYTES,
      16 * MIB,
    ),
    incomingOverflow: checks.oneOf(
      'incomingOverflow',
      options.incomingOverflow,
      ['backpressure', 'drop-newest'] as const,
      'backpressure',
    ),
    receiveMaximum: checks.integer('receiveMaximum', options.receiveMaximum, 1, UINT16, 100),
    topicAliasMaximum: checks.integer('topicAliasMaximum', options.topicAliasMaximum, 0, UINT16, 0),
    topicAliases: checks.integer('topicAliases', options.topicAliases, 0, UINT16, 16),
    maxPacketBytes,
    acknowledge: checks.oneOf(
      'acknowledge',
      options.acknowledge,
      ['on-receive', 'after-handler', 'manual'] as const,
      'after-handler',
    ),
    followServerReference: checks.boolean('followServerReference', options.followServerReference, false),
    requestResponseInformation: checks.boolean('requestResponseInformation', options.requestResponseInformation, false),
    requestProblemInformation: checks.boolean('requestProblemInformation', options.requestProblemInformation, true),
    userProperties: options.userProperties,
  };
  checks.argument(() => assertUserProperties(options.userProperties, 'userProperties'));
  checks.finish();
  return Object.freeze(resolved);
}

/** A client identifier of letters and digits, within the 23 that every server must take [MQTT-3.1.3-5]. @internal */
export function randomClientId(): string {
  return `rumqtt${randomBytes(8).toString('hex')}`;
}

function resolveClientId(clientId: unknown, checks: OptionChecks): string {
  if (clientId === undefined) return randomClientId();
  if (typeof clientId === 'string' && (clientId === '' || clientId.trim() !== clientId)) {
    checks.report(
      'clientId',
      clientId,
      'at least one character and no spaces around it; leave it out for a random one',
    );
  } else checks.argument(() => assertText(clientId, 'clientId'));
  return clientId as string;
}

function resolveCredentialsOption(
  credentials: unknown,
  checks: OptionChecks,
): Credentials | CredentialsProvider | undefined {
  if (credentials === undefined || typeof credentials === 'function')
    return credentials as CredentialsProvider | undefined;
  const problem = credentialsProblem(credentials);
  const { expiresAt, ...known } = (credentials ?? {}) as Credentials;
  if (problem === undefined && expiresAt === undefined) return hidden(known);
  if (problem === undefined) {
    checks.report(
      'credentials.expiresAt',
      '…',
      'a function in place of credentials that expire: it is asked for fresh ones',
    );
    return undefined;
  }
  checks.report('credentials', '…', `{ username, password } or a function that returns them, not ${problem}`);
  return undefined;
}

function resolveAuthentication(
  { authentication, protocolVersion }: EventLoopOptions,
  checks: OptionChecks,
): Authentication | undefined {
  if (authentication === undefined) return undefined;
  const { method, start, answer, verify, expiresAt } = (authentication ?? {}) as Partial<Authentication>;
  const isFunction = (value: unknown): boolean => typeof value === 'function';
  const isProvider =
    isFunction(start) && isFunction(answer) && isFunction(verify ?? start) && isFunction(expiresAt ?? start);
  if (!isProvider)
    checks.report('authentication', '…', '{ method, start(), answer(challenge), verify?(data), expiresAt?() }');
  checks.argument(() => assertText(method, 'authentication.method'));
  if (protocolVersion === 4)
    checks.report('protocolVersion', protocolVersion, '5 or "auto" with authentication: MQTT 3.1.1 has none');
  return authentication;
}

function resolveWill(will: Will | undefined, checks: OptionChecks): ResolvedOptions['will'] {
  if (will === undefined) return undefined;
  if (typeof will !== 'object' || will === null) {
    checks.report('will', will, '{ topic, payload, qos?, retain?, delaySeconds?, properties? }');
    return undefined;
  }
  checks.unknownKeys('will.', will, ['topic', 'payload', 'qos', 'retain', 'delaySeconds', 'properties']);
  checks.argument(() => assertTopicName(will.topic, 'will.topic'));
  if (will.properties !== undefined)
    checks.argument(() => assertPublishProperties(will.properties!, 'will.properties'));
  const isPayload = typeof will.payload === 'string' || will.payload instanceof Uint8Array;
  if (!isPayload) checks.report('will.payload', will.payload, 'a string or Uint8Array; empty is allowed');
  const payload =
    typeof will.payload === 'string' ? Buffer.from(will.payload) : isPayload ? asBuffer(will.payload) : Buffer.alloc(0);
  if (payload.length > UINT16) checks.report('will.payload', `${payload.length} bytes`, `at most ${UINT16} bytes`);
  return Object.freeze({
    topic: will.topic,
    payload,
    qos: checks.oneOf('will.qos', will.qos, [0, 1, 2] as const, 0),
    retain: checks.boolean('will.retain', will.retain, false),
    delaySeconds: checks.integer('will.delaySeconds', will.delaySeconds, 0, UINT32, 0),
    properties: will.properties,
  });
}

function resolveThrottle(
  throttle: number | ThrottleOptions | undefined,
  checks: OptionChecks,
): ResolvedOptions['throttle'] {
  if (throttle === undefined) return undefined;
  const isObject = typeof throttle === 'object' && throttle !== null;
  const given: Partial<ThrottleOptions> = isObject ? throttle : { messagesPerSecond: throttle };
  if (isObject) checks.unknownKeys('throttle.', given, ['messagesPerSecond', 'burst', 'bytesPerSecond']);
  const rateName = isObject ? 'throttle.messagesPerSecond' : 'throttle';
  if (given.messagesPerSecond === undefined) checks.report(rateName, undefined, `a number from 0.001 to ${MANY}`);
  return Object.freeze({
    messagesPerSecond: checks.number(rateName, given.messagesPerSecond, 0.001, MANY, 1),
    burst: checks.integer('throttle.burst', given.burst, 1, MANY, 1),
    bytesPerSecond:
      given.bytesPerSecond === undefined
        ? undefined
        : checks.number('throttle.bytesPerSecond', given.bytesPerSecond, 1, MOST_QUEUE_BYTES, 1),
  });
}
