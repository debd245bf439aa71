import { expect, test } from 'vitest';
import {
  MqttConnectionError,
  MqttConnectionRefusedError,
  MqttConnectTimeoutError,
  MqttCredentialsError,
  MqttTlsError,
  MqttWebSocketError,
  MqttKeepAliveTimeoutError,
  MqttProtocolError,
  MqttServerDisconnectError,
} from '../../../../lib/eventloop/connection-errors.js';
import { classify } from '../../../../lib/eventloop/reconnect/classify.js';

const REFUSED: Readonly<Record<number, string>> = {
  0x80: 'transient',
  0x81: 'permanent',
  0x82: 'permanent',
  0x83: 'transient',
  0x84: 'permanent',
  0x85: 'permanent',
  0x86: 'credentials',
  0x87: 'credentials',
  0x88: 'transient',
  0x89: 'transient',
  0x8a: 'permanent',
  0x8c: 'permanent',
  0x90: 'permanent',
  0x95: 'permanent',
  0x97: 'transient',
  0x99: 'permanent',
  0x9a: 'permanent',
  0x9b: 'permanent',
  0x9c: 'transient',
  0x9d: 'transient',
  0x9f: 'transient',
};

test.each(Object.entries(REFUSED).map(([code, expected]) => [Number(code), expected] as const))(
  'a CONNECT that is refused with %i is %s',
  (reasonCode, expected) => {
    expect(classify(new MqttConnectionRefusedError(reasonCode, 'r', 's'))).toBe(expected);
  },
);

test.each([
  [0x81, 'transient'],
  [0x82, 'transient'],
  [0x86, 'credentials'],
  [0x87, 'credentials'],
  [0x89, 'transient'],
  [0x8b, 'transient'],
  [0x8d, 'transient'],
  [0x8e, 'takeover'],
  [0x95, 'transient'],
  [0x98, 'transient'],
])('a connection that the server ends with %i is %s: it had accepted us', (reasonCode, expected) => {
  expect(classify(new MqttServerDisconnectError(reasonCode, 'r'))).toBe(expected);
});

test.each([
  [new MqttConnectionError('MQTT_CONNECT_FAILED', 'x'), 'transient'],
  [new MqttConnectionError('MQTT_CONNECTION_LOST', 'x'), 'transient'],
  [new MqttConnectTimeoutError('s', 1, 'waiting'), 'transient'],
  [new MqttKeepAliveTimeoutError(1, 1), 'transient'],
  [new MqttProtocolError('x'), 'transient'],
  [new MqttCredentialsError('x'), 'credentials'],
  [new MqttWebSocketError('ws://h', 'x', 401), 'credentials'],
  [new MqttWebSocketError('ws://h', 'x', 403), 'credentials'],
  [new MqttWebSocketError('ws://h', 'x', 503), 'transient'],
  [new MqttWebSocketError('ws://h', 'x'), 'transient'],
  [new MqttTlsError('certificate-expired', 'mqtts://h', 'x'), 'transient'],
] as const)('%s is %s', (error, expected) => {
  expect(classify(error)).toBe(expected);
});
