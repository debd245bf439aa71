import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { MqttOptionsError, type OptionIssue } from '../../../lib/eventloop/errors.js';
import type { EventLoopOptions } from '../../../lib/eventloop/options.js';
import { resolveOptions } from '../../../lib/eventloop/resolve-options.js';

function issuesOf(options: unknown): readonly OptionIssue[] {
  try {
    resolveOptions(options as EventLoopOptions);
  } catch (error) {
    if (error instanceof MqttOptionsError) return error.issues;
    throw error;
  }
  return [];
}

/** `{ 'reconnect.factor': 3 }` as `{ reconnect: { factor: 3 } }`. */
function nested(path: string, value: unknown): object {
  const [name, inner] = path.split('.') as [string, string | undefined];
  if (inner === undefined) return { [name]: value };
  const required = name === 'will' ? { topic: 't', payload: 'p' } : name === 'throttle' ? { messagesPerSecond: 1 } : {};
  return { [name]: { ...required, [inner]: value } };
}

const UINT32 = 4_294_967_295;
/** Every number: the least and the most that is accepted, and whether fractions are. */
const NUMBERS: readonly (readonly [string, number, number, 'integer' | 'number'])[] = [
  ['sessionExpirySeconds', 0, UINT32, 'integer'],
  ['keepAliveSeconds', 0, 65_535, 'integer'],
  ['pingTimeoutMs', 1, 3_600_000, 'number'],
  ['connectTimeoutMs', 1, 3_600_000, 'number'],
  ['inflight', 1, 65_519, 'integer'],
  ['requestCapacity', 1, 10_000_000, 'integer'],
  ['requestCapacityBytes', 1_024, 2 ** 40, 'integer'],
  ['maxWaiters', 0, 10_000_000, 'integer'],
  ['throttle', 0.001, 10_000_000, 'number'],
  ['throttle.messagesPerSecond', 0.001, 10_000_000, 'number'],
  ['throttle.burst', 1, 10_000_000, 'integer'],
  ['throttle.bytesPerSecond', 1, 2 ** 40, 'number'],
  ['incomingCapacity', 1, 10_000_000, 'integer'],
  ['incomingCapacityBytes', 1_024, 2 ** 40, 'integer'],
  ['receiveMaximum', 1, 65_535, 'integer'],
  ['topicAliasMaximum', 0, 65_535, 'integer'],
  ['topicAliases', 0, 65_535, 'integer'],
  ['maxPacketBytes', 128, 268_435_460, 'integer'],
  ['will.delaySeconds', 0, UINT32, 'integer'],
  ['reconnect.minDelayMs', 1, 120_000, 'number'],
  ['reconnect.maxDelayMs', 1_000, 86_400_000, 'number'],
  ['reconnect.factor', 1, 10, 'number'],
  ['reconnect.stableAfterMs', 0, 86_400_000, 'number'],
];

describe.each(NUMBERS)('%s', (option, least, most, kind) => {
  test('is accepted at its bounds', () => {
    for (const value of [least, most]) expect(issuesOf(nested(option, value))).toEqual([]);
    if (kind === 'number') expect(issuesOf(nested(option, least + 0.5))).toEqual([]);
  });

  test('is refused below, above, as text, as what is no number, and as null', () => {
    // A minDelayMs above its own bound is above the default maxDelayMs too, hence the factor.
    const wrong = [least - 1, most * 100 + 1, `${least}`, Number.NaN, Infinity, -Infinity, true, {}, [], 1n];
    for (const value of kind === 'integer' ? [...wrong, least + 0.5] : wrong) {
      const issues = issuesOf(nested(option, value));
      expect(
        issues.map((issue) => issue.option),
        `for ${inspect(value)}`,
      ).toContain(objectOf(option, value));
      expect(issues.every(({ expected }) => expected.length > 0)).toBe(true);
    }
  });

  test('says the accepted range', () => {
    const [issue] = issuesOf(nested(option, least - 1));
    expect(issue).toEqual({
      option,
      value: String(least - 1),
      expected: expect.stringMatching(new RegExp(`^an? ${kind} from ${least} to \\d+$`)),
    });
  });
});

/** `throttle: {}` is read as an object without its rate. */
function objectOf(option: string, value: unknown): string {
  return option === 'throttle' && typeof value === 'object' ? 'throttle.messagesPerSecond' : option;
}

test.each([
  ['protocolVersion', ['auto', 4, 5], [3, '5', 6, null]],
  ['clean', [true, false], [0, 'true', null]],
  ['overflow', ['wait', 'reject', 'drop-oldest', 'drop-newest'], ['drop', true, null]],
  ['incomingOverflow', ['backpressure', 'drop-newest'], ['wait', null]],
  ['acknowledge', ['on-receive', 'after-handler', 'manual'], ['auto', true, null]],
  ['followServerReference', [true, false], ['yes', 1]],
  ['requestResponseInformation', [true, false], ['yes', 1]],
  ['requestProblemInformation', [true, false], ['yes', 1]],
  ['will.qos', [0, 1, 2], [3, '1', true, null]],
  ['will.retain', [true, false], [1, 'no']],
  ['reconnect.policy', ['never', 'after-first-success', 'always'], ['Always', true, null]],
  ['reconnect.jitter', ['full', 'none'], ['equal', true]],
  ['reconnect.retry', [() => 1, undefined], ['stop', 5, {}]],
  ['clientId', ['a', 'ü'.repeat(32_767), undefined], ['', ' a', 'a ', 'a\0', '\uD800', 'x'.repeat(65_536), 7, null]],
  ['userProperties', [{}, { a: '1', b: ['2', '3'] }], ['x', 5, null, { a: 1 }, { a: '\0' }, { '\uD800': '1' }]],
  ['will.topic', ['a', '/'], ['', 'a/#', '+', 'a\0', 5, undefined]],
  ['will.payload', ['', 'x', new Uint8Array(65_535)], [undefined, null, 5, {}, 'x'.repeat(65_536)]],
  [
    'will.properties',
    [{}, { contentType: 'a' }],
    [{ contentType: 5 }, { responseTopic: '#' }, { messageExpirySeconds: -1 }],
  ],
  [
    'credentials',
    [{}, { username: 'u' }, { password: new Uint8Array(3) }, () => ({})],
    ['u:p', null, { username: 5 }, { password: {} }],
  ],
  [
    'url',
    ['mqtt://h', 'mqtt://u:p@h:1', ['mqtt://a', 'mqtt://[::1]:1']],
    ['', 'h', 'http://h', 5, null, [], ['mqtt://a', 5]],
  ],
] as const)('%s takes what it should, and names itself when it cannot', (option, right, wrong) => {
  for (const value of right) expect(issuesOf(nested(option, value)), `for ${inspect(value)}`).toEqual([]);
  for (const value of wrong) {
    if (option === 'url' && value === null) continue;
    const names = issuesOf(nested(option, value)).map((issue) => issue.option);
    expect(names.length, `for ${inspect(value)}`).toBeGreaterThan(0);
    for (const name of names) expect(name.startsWith(option), `${name} for ${option}`).toBe(true);
  }
});

test.each([[undefined], [null], ['mqtt://h'], [5]])(
  'options that are %j are refused, except for none at all',
  (options) => {
    if (options === undefined) expect(resolveOptions({})).toBeDefined();
    else expect(issuesOf(options)).toMatchObject([{ option: 'options', expected: 'an object' }]);
  },
);

test.each(['will', 'reconnect', 'throttle', 'authentication'])('%s is refused when it is no object', (option) => {
  for (const value of ['x', true, null]) {
    if (option === 'reconnect' && value === null) continue;
    expect(issuesOf({ [option]: value })[0]?.option.startsWith(option), `for ${inspect(value)}`).toBe(true);
  }
});

test('an unknown name is refused at every level, with the names that are known', () => {
  expect(issuesOf({ keepAlive: 5 })).toMatchObject([
    { option: 'keepAlive', expected: expect.stringContaining('keepAliveSeconds') },
  ]);
  expect(issuesOf(nested('reconnect.delay', 5))).toMatchObject([
    { option: 'reconnect.delay', expected: expect.stringContaining('minDelayMs') },
  ]);
  expect(issuesOf(nested('will.delay', 5))).toMatchObject([{ option: 'will.delay' }]);
  expect(issuesOf(nested('throttle.rate', 5))).toMatchObject([{ option: 'throttle.rate' }]);
});

test('all mistakes are told at once, in the list and in the message', () => {
  const wrong = {
    url: 'http://h',
    inflight: 0,
    keepAliveSeconds: 1.5,
    overflow: 'drop',
    will: { topic: '#', payload: 5 },
    typo: 1,
  };
  const names = ['url', 'inflight', 'keepAliveSeconds', 'overflow', 'will.topic', 'will.payload', 'typo'];
  const issues = issuesOf(wrong);
  expect(issues.map(({ option }) => option).toSorted()).toEqual(names.toSorted());
  const { message } = new MqttOptionsError(issues);
  for (const name of names) expect(message).toContain(name);
});

test('undefined is the default, everywhere', () => {
  const names = Object.keys(resolveOptions({})).map((name) => (name === 'servers' ? 'url' : name));
  const explicit = resolveOptions(Object.fromEntries(names.map((name) => [name, undefined])));
  expect({ ...explicit, clientId: '' }).toEqual({ ...resolveOptions({}), clientId: '' });
});

test('the defaults are those of the documentation', () => {
  expect(resolveOptions({})).toMatchObject({
    servers: [{ host: 'localhost', port: 1883, label: 'mqtt://localhost:1883', credentials: undefined }],
    protocolVersion: 'auto',
    clean: true,
    sessionExpirySeconds: 0,
    keepAliveSeconds: 60,
    pingTimeoutMs: undefined,
    connectTimeoutMs: 10_000,
    reconnect: {
      policy: 'after-first-success',
      minDelayMs: 1_000,
      maxDelayMs: 120_000,
      factor: 2,
      jitter: 'full',
      stableAfterMs: 30_000,
    },
    inflight: 100,
    requestCapacity: 1_000,
    requestCapacityBytes: 16 * 1_024 * 1_024,
    overflow: 'wait',
    maxWaiters: 10_000,
    throttle: undefined,
    incomingCapacity: 1_000,
    incomingCapacityBytes: 16 * 1_024 * 1_024,
    incomingOverflow: 'backpressure',
    receiveMaximum: 100,
    topicAliasMaximum: 0,
    maxPacketBytes: 262_144,
    acknowledge: 'after-handler',
  });
  expect(resolveOptions({ clean: false }).sessionExpirySeconds).toBe(UINT32);
  expect(resolveOptions({ clean: false, sessionExpirySeconds: 60 }).sessionExpirySeconds).toBe(60);
  expect(resolveOptions({ throttle: 2.5 }).throttle).toEqual({
    messagesPerSecond: 2.5,
    burst: 1,
    bytesPerSecond: undefined,
  });
});

test('random client ids are letters and digits, at most 23, and differ', () => {
  const ids = Array.from({ length: 100 }, () => resolveOptions({}).clientId);
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^[0-9a-zA-Z]{10,23}$/);
});

test('URLs: host, port, IPv6, and user information as credentials', () => {
  const { servers } = resolveOptions({ url: ['mqtt://a', 'mqtt://b:1/', 'mqtt://[::1]:2', 'mqtt://u%40x:p%3Aw@c'] });
  expect(servers).toMatchObject([
    { host: 'a', port: 1883, label: 'mqtt://a:1883' },
    { host: 'b', port: 1, label: 'mqtt://b:1' },
    { host: '::1', port: 2, label: 'mqtt://[::1]:2' },
    { host: 'c', port: 1883, label: 'mqtt://c:1883' },
  ]);
  expect(servers[3]!.credentials?.username).toBe('u@x');
  expect(servers[3]!.credentials?.password).toBe('p:w');
});

test('the result is frozen, and what the caller does to its options later changes nothing', () => {
  const given = {
    url: ['mqtt://a'],
    will: { topic: 't', payload: 'x' },
    reconnect: { factor: 3 },
    throttle: { messagesPerSecond: 1 },
  };
  const resolved = resolveOptions(given);
  given.url.push('mqtt://b');
  given.reconnect.factor = 9;
  given.throttle.messagesPerSecond = 9;
  given.will.topic = 'other';
  expect(resolved).toMatchObject({
    reconnect: { factor: 3 },
    throttle: { messagesPerSecond: 1 },
    will: { topic: 't' },
  });
  expect(resolved.servers).toHaveLength(1);
  for (const part of [resolved, resolved.will, resolved.reconnect, resolved.throttle, resolved.servers[0]])
    expect(Object.isFrozen(part)).toBe(true);
});
