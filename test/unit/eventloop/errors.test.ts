import { inspect } from 'node:util';
import { describe, expect, test, vi } from 'vitest';
import * as connectionErrors from '../../../lib/eventloop/connection-errors.js';
import * as errors from '../../../lib/eventloop/errors.js';

const {
  MqttAbortError,
  MqttArgumentError,
  MqttClosedError,
  MqttError,
  MqttMessageDroppedError,
  MqttNotSupportedError,
  MqttOptionsError,
  MqttPacketTooLargeError,
  MqttQueueFullError,
  MqttRefusedError,
  MqttStateError,
  MqttTimeoutError,
} = errors;
const {
  MqttConnectionError,
  MqttConnectionRefusedError,
  MqttConnectTimeoutError,
  MqttCredentialsError,
  MqttKeepAliveTimeoutError,
  MqttProtocolError,
  MqttProxyError,
  MqttServerDisconnectError,
  MqttTlsError,
  MqttWebSocketError,
} = connectionErrors;

/** One of each, with its code and a word of its cure. */
const ALL: readonly (readonly [errors.MqttError, string, string])[] = [
  [
    new MqttOptionsError([{ option: 'inflight', value: '0', expected: 'an integer' }]),
    'MQTT_INVALID_OPTIONS',
    'expected',
  ],
  [new MqttArgumentError('topic', '#', 'a topic'), 'MQTT_INVALID_ARGUMENT', 'expected a topic'],
  [new MqttPacketTooLargeError(2, 1, 'server'), 'MQTT_PACKET_TOO_LARGE', 'smaller payload'],
  [new MqttPacketTooLargeError(2, 1, 'maxPacketBytes'), 'MQTT_PACKET_TOO_LARGE', 'raise the option'],
  [new MqttQueueFullError('requestCapacity', 5), 'MQTT_QUEUE_FULL', 'raise requestCapacity'],
  [new MqttMessageDroppedError('drop-oldest'), 'MQTT_MESSAGE_DROPPED', 'use "wait"'],
  [new MqttRefusedError('publish', 'a', 0x87, 'not authorized'), 'MQTT_PUBLISH_REFUSED', '0x87'],
  [new MqttRefusedError('subscribe', 'a', 0x87, 'not authorized'), 'MQTT_SUBSCRIBE_REFUSED', 'subscribe "a"'],
  [new MqttRefusedError('unsubscribe', 'a', 0x87, 'not authorized'), 'MQTT_UNSUBSCRIBE_REFUSED', 'unsubscribe "a"'],
  [new MqttNotSupportedError('QoS 2', 'publish with QoS 1'), 'MQTT_NOT_SUPPORTED_BY_SERVER', 'publish with QoS 1'],
  [new MqttTimeoutError('publish to "a"', 5, 'unknown'), 'MQTT_TIMEOUT', 'may still arrive'],
  [new MqttTimeoutError('publish to "a"', 5, 'not-sent'), 'MQTT_TIMEOUT', 'taken back'],
  [new MqttAbortError('publish to "a"', 'not-sent'), 'MQTT_ABORTED', 'taken back'],
  [new MqttClosedError(), 'MQTT_CLOSED', 'create a new EventLoop'],
  [new MqttClosedError('unknown'), 'MQTT_CLOSED', 'may have arrived'],
  [new MqttStateError('x'), 'MQTT_INVALID_STATE', 'x'],
  [new MqttConnectionError('MQTT_CONNECT_FAILED', 'x'), 'MQTT_CONNECT_FAILED', 'x'],
  [new MqttConnectionError('MQTT_CONNECTION_LOST', 'x'), 'MQTT_CONNECTION_LOST', 'x'],
  [new MqttConnectionRefusedError(0x86, 'bad password', 'mqtt://h'), 'MQTT_CONNECTION_REFUSED', '0x86'],
  [new MqttServerDisconnectError(0x8b, 'shutting down'), 'MQTT_SERVER_DISCONNECTED', '0x8b'],
  [new MqttProtocolError('x'), 'MQTT_PROTOCOL_ERROR', 'the server broke the protocol'],
  [new MqttKeepAliveTimeoutError(60, 90_000.4), 'MQTT_KEEP_ALIVE_TIMEOUT', 'raise keepAliveSeconds'],
  [new MqttConnectTimeoutError('mqtt://h', 5, 'waiting for CONNACK'), 'MQTT_CONNECT_TIMEOUT', 'raise connectTimeoutMs'],
  [new MqttCredentialsError('x'), 'MQTT_CREDENTIALS', 'x'],
  [
    new MqttProxyError('http://p:3128', 'credentials', 'refuses; check proxy.credentials', 407),
    'MQTT_PROXY',
    'proxy.credentials',
  ],
  [new MqttWebSocketError('ws://h', 'check the path', 404), 'MQTT_WEBSOCKET', 'check the path'],
  [new MqttTlsError('unknown-ca', 'mqtts://h', 'give tls.ca'), 'MQTT_TLS', 'give tls.ca'],
];

test.each(ALL)('%s has its code, its name and its cure', (error, code, cure) => {
  expect(error.code).toBe(code);
  expect(error.name).toBe(error.constructor.name);
  expect(error.message).toContain(cure);
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(MqttError);
  expect(error.stack).toContain(`${error.name}: `);
});

test('every error class that is exported is among them', () => {
  const classes = Object.entries({ ...errors, ...connectionErrors }).filter(([name]) => /^Mqtt\w+Error$/.test(name));
  const seen = new Set(ALL.map(([error]) => error.name));
  expect(classes.map(([name]) => name).toSorted()).toEqual([...seen].toSorted());
});

test('instanceof tells them apart', () => {
  const closed = new MqttClosedError();
  expect(closed).not.toBeInstanceOf(MqttStateError);
  expect(new MqttServerDisconnectError(0x87, 'x')).not.toBeInstanceOf(MqttConnectionRefusedError);
  for (const value of [new Error('x'), null, undefined, 'MqttError', 5, {}, { code: 'MQTT_CLOSED' }]) {
    expect(value instanceof MqttError).toBe(false);
  }
});

test('the cause is kept', () => {
  const cause = new Error('below');
  expect(new MqttConnectionError('MQTT_CONNECTION_LOST', 'x', 'unknown', { cause }).cause).toBe(cause);
  expect(new MqttClosedError('unknown', { cause }).cause).toBe(cause);
  expect(new MqttAbortError('x', 'unknown', { cause: 'any reason' }).cause).toBe('any reason');
  expect(new MqttProtocolError('x', 0x81, { cause }).cause).toBe(cause);
  expect('cause' in new MqttClosedError()).toBe(false);
});

test('what has become of the message', () => {
  expect(new MqttQueueFullError('maxWaiters', 1).delivery).toBe('not-sent');
  expect(new MqttPacketTooLargeError(2, 1, 'server').delivery).toBe('not-sent');
  expect(new MqttMessageDroppedError('drop-newest').delivery).toBe('not-sent');
  expect(new MqttNotSupportedError('x', 'y').delivery).toBe('not-sent');
  expect(new MqttClosedError().delivery).toBe('not-sent');
  expect(new MqttTimeoutError('x', 1, 'unknown').delivery).toBe('unknown');
});

test.each([
  ['a long text is cut', 'x'.repeat(200), `"${'x'.repeat(80)}…"`],
  ['control characters are escaped', 'a\nb\0', String.raw`"a\nb\u0000"`],
  ['an object is its class', Buffer.from('secret'), 'Buffer'],
  ['an object without a prototype', Object.create(null), 'object'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
  ['a big integer', 5n, '5'],
  ['nothing', undefined, 'undefined'],
  ['null', null, 'null'],
])('the value of a wrong argument: %s', (_what, value, shown) => {
  expect(new MqttArgumentError('field', value, 'something else').message).toBe(
    `invalid field: ${shown}; expected something else`,
  );
});

describe('a second copy of this package', () => {
  async function secondCopy(): Promise<typeof errors & typeof connectionErrors> {
    vi.resetModules();
    return {
      ...(await import('../../../lib/eventloop/errors.js')),
      ...(await import('../../../lib/eventloop/connection-errors.js')),
    };
  }

  test('knows our errors, and we know its', async () => {
    const other = await secondCopy();
    expect(other.MqttClosedError).not.toBe(MqttClosedError);
    expect(new other.MqttClosedError()).toBeInstanceOf(MqttClosedError);
    expect(new MqttClosedError()).toBeInstanceOf(other.MqttClosedError);
    expect(new other.MqttProtocolError('x')).toBeInstanceOf(MqttError);
    expect(new MqttProtocolError('x')).toBeInstanceOf(other.MqttError);
  });

  test('does not take one for another', async () => {
    const other = await secondCopy();
    expect(new other.MqttClosedError()).not.toBeInstanceOf(MqttStateError);
    expect(new other.MqttServerDisconnectError(0x80, 'x')).not.toBeInstanceOf(MqttConnectionRefusedError);
  });

  test("a user's subclass is its own class, in either copy", async () => {
    const other = await secondCopy();
    class QuotaError extends MqttClosedError {}
    class OtherQuotaError extends other.MqttClosedError {}
    expect(new QuotaError()).toBeInstanceOf(QuotaError);
    expect(new QuotaError()).toBeInstanceOf(MqttClosedError);
    expect(new QuotaError()).toBeInstanceOf(other.MqttError);
    expect(new QuotaError().name).toBe('QuotaError');
    expect(new MqttClosedError()).not.toBeInstanceOf(QuotaError);
    expect(new OtherQuotaError()).not.toBeInstanceOf(QuotaError);
    expect(new OtherQuotaError()).toBeInstanceOf(MqttClosedError);
  });
});

test('an error looks like one when it is printed', () => {
  expect(inspect(new MqttTimeoutError('publish to "a"', 5, 'unknown'))).toMatch(
    /^MqttTimeoutError: publish to "a" did not/,
  );
});
