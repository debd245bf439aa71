import type { Packet } from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { decode, hex, publish, wire } from './decode-harness.js';

const versions = [4, 5] as const;
const userProperties = { a: '1', list: ['x', 'y'] };

describe.each(versions)('version %i: what mqtt-packet writes comes out as it was', (version) => {
  test('PUBLISH, every QoS and flag', () => {
    for (const qos of [0, 1, 2] as const) {
      for (const retain of [false, true]) {
        for (const dup of qos === 0 ? [false] : [false, true]) {
          const id = qos > 0 ? 4_660 : 0;
          const bytes = publish(version, {
            topic: 'ü/雪',
            payload: Buffer.from([0, 255]),
            qos,
            retain,
            dup,
            messageId: id,
          });
          const [decoded] = decode(version, bytes);
          expect(decoded).toEqual({
            packet: 'PUBLISH',
            topic: 'ü/雪',
            payload: Buffer.from([0, 255]),
            qos,
            retain,
            dup,
            id,
            properties: undefined,
          });
        }
      }
    }
  });

  test('an empty payload is an empty buffer', () => {
    expect(decode(version, publish(version, { payload: '' }))).toMatchObject([{ payload: Buffer.alloc(0) }]);
  });

  test.each(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const)('%s', (cmd) => {
    for (const messageId of [1, 258, 65_535]) {
      expect(decode(version, wire(version, { cmd, messageId }))).toEqual([
        { packet: cmd.toUpperCase(), id: messageId, reasonCode: 0 },
      ]);
    }
  });

  test('SUBACK and UNSUBACK', () => {
    const suback = wire(version, { cmd: 'suback', messageId: 7, granted: [0, 1, 2, 0x80] });
    expect(decode(version, suback)).toEqual([{ packet: 'SUBACK', id: 7, reasonCodes: [0, 1, 2, 0x80] }]);
    const unsuback = wire(version, { cmd: 'unsuback', messageId: 8, granted: [0, 0x11] });
    expect(decode(version, unsuback)).toEqual([
      { packet: 'UNSUBACK', id: 8, reasonCodes: version === 5 ? [0, 0x11] : [] },
    ]);
  });

  test('PINGRESP', () => {
    expect(decode(version, wire(version, { cmd: 'pingresp' }))).toEqual([{ packet: 'PINGRESP' }]);
  });
});

test.each([
  [0, 0],
  [1, 0x84],
  [2, 0x85],
  [3, 0x88],
  [4, 0x86],
  [5, 0x87],
])('MQTT 3.1.1: the return code %i of CONNACK is the reason code %i', (returnCode, reasonCode) => {
  const bytes = wire(4, { cmd: 'connack', sessionPresent: false, returnCode });
  expect(decode(4, bytes, { connecting: true })).toEqual([{ packet: 'CONNACK', sessionPresent: false, reasonCode }]);
  // A server that does not know MQTT 5 refuses it in these words.
  if (returnCode > 0) expect(decode(5, bytes, { connecting: true })).toMatchObject([{ packet: 'CONNACK', reasonCode }]);
});

test('MQTT 5: CONNACK with every property', () => {
  const bytes = wire(5, {
    cmd: 'connack',
    sessionPresent: true,
    reasonCode: 0,
    properties: {
      sessionExpiryInterval: 4_294_967_295,
      receiveMaximum: 65_535,
      maximumQoS: 1,
      retainAvailable: false,
      maximumPacketSize: 268_435_460,
      assignedClientIdentifier: 'given',
      topicAliasMaximum: 9,
      reasonString: 'wohl',
      userProperties,
      wildcardSubscriptionAvailable: false,
      subscriptionIdentifiersAvailable: true,
      sharedSubscriptionAvailable: false,
      serverKeepAlive: 0,
      responseInformation: 'answers/',
      serverReference: 'other:1883',
      authenticationMethod: 'SCRAM',
      authenticationData: Buffer.from([1, 2, 3]),
    },
  });
  expect(decode(5, bytes, { connecting: true })).toEqual([
    {
      packet: 'CONNACK',
      sessionPresent: true,
      reasonCode: 0,
      properties: {
        sessionExpirySeconds: 4_294_967_295,
        receiveMaximum: 65_535,
        maximumQos: 1,
        retainAvailable: false,
        maximumPacketBytes: 268_435_460,
        assignedClientIdentifier: 'given',
        topicAliasMaximum: 9,
        reasonString: 'wohl',
        userProperties,
        wildcardSubscriptionAvailable: false,
        subscriptionIdentifiersAvailable: true,
        sharedSubscriptionAvailable: false,
        serverKeepAliveSeconds: 0,
        responseInformation: 'answers/',
        serverReference: 'other:1883',
        authenticationMethod: 'SCRAM',
        authenticationData: Buffer.from([1, 2, 3]),
      },
    },
  ]);
});

test('MQTT 5: PUBLISH with every property; the alias is resolved and not shown', () => {
  const properties = {
    payloadFormatIndicator: false,
    messageExpiryInterval: 0,
    topicAlias: 3,
    responseTopic: 'r',
    correlationData: Buffer.alloc(0),
    userProperties,
    subscriptionIdentifier: [1, 268_435_455],
    contentType: '',
  };
  const decoded = {
    payloadFormatIndicator: false,
    messageExpirySeconds: 0,
    responseTopic: 'r',
    correlationData: Buffer.alloc(0),
    userProperties,
    subscriptionIdentifiers: [1, 268_435_455],
    contentType: '',
  };
  const set = publish(5, { topic: 'named', properties: properties as never });
  const used = publish(5, { topic: '', properties: { topicAlias: 3 } });
  expect(decode(5, [set, used])).toMatchObject([
    { topic: 'named', properties: decoded },
    { topic: 'named', payload: Buffer.from('x') },
  ]);
  expect(decode(5, set)[0]).toHaveProperty('properties', decoded);
});

test.each([
  [
    { cmd: 'puback', messageId: 1, reasonCode: 0x97 },
    { packet: 'PUBACK', id: 1, reasonCode: 0x97 },
  ],
  [
    { cmd: 'pubrec', messageId: 1, reasonCode: 0x10 },
    { packet: 'PUBREC', id: 1, reasonCode: 0x10 },
  ],
  [
    { cmd: 'pubrel', messageId: 1, reasonCode: 0x92 },
    { packet: 'PUBREL', id: 1, reasonCode: 0x92 },
  ],
  [
    { cmd: 'pubcomp', messageId: 1, reasonCode: 0x92 },
    { packet: 'PUBCOMP', id: 1, reasonCode: 0x92 },
  ],
  [
    { cmd: 'suback', messageId: 1, granted: [0x87] },
    { packet: 'SUBACK', id: 1, reasonCodes: [0x87] },
  ],
  [
    { cmd: 'unsuback', messageId: 1, granted: [0x8f] },
    { packet: 'UNSUBACK', id: 1, reasonCodes: [0x8f] },
  ],
  [
    { cmd: 'disconnect', reasonCode: 0x8e },
    { packet: 'DISCONNECT', reasonCode: 0x8e },
  ],
  [
    { cmd: 'auth', reasonCode: 0x18 },
    { packet: 'AUTH', reasonCode: 0x18 },
  ],
])('MQTT 5: %j, alone and with reason string and user properties', (packet, decoded) => {
  const own = packet.cmd === 'auth' ? { authenticationMethod: 'm', authenticationData: Buffer.from([9]) } : {};
  const properties = { ...own, reasonString: 'because', userProperties };
  const bytes = wire(5, { ...packet, properties } as Packet);
  expect(decode(5, bytes)).toEqual([{ ...decoded, properties }]);
  if (packet.cmd !== 'auth') expect(decode(5, wire(5, packet as Packet))).toEqual([decoded]);
});

test('MQTT 5: a DISCONNECT may name another server', () => {
  const bytes = wire(5, { cmd: 'disconnect', reasonCode: 0x9d, properties: { serverReference: 'b' } });
  expect(decode(5, bytes)).toEqual([{ packet: 'DISCONNECT', reasonCode: 0x9d, properties: { serverReference: 'b' } }]);
});

/** Legal, although mqtt-packet refuses to read them or never writes them. */
test.each([
  ['DISCONNECT without a body', 'e0 00', [{ packet: 'DISCONNECT', reasonCode: 0 }]],
  ['DISCONNECT with a reason alone', 'e0 01 8b', [{ packet: 'DISCONNECT', reasonCode: 0x8b }]],
  ['AUTH without a body', 'f0 00', [{ packet: 'AUTH', reasonCode: 0 }]],
  ['PUBACK with a reason alone', '40 03 0001 80', [{ packet: 'PUBACK', id: 1, reasonCode: 0x80 }]],
  ['PUBACK with an empty property section', '40 04 0001 10 00', [{ packet: 'PUBACK', id: 1, reasonCode: 0x10 }]],
  [
    'two packets behind each other, the first without a body',
    'e0 00 d0 00',
    [{ packet: 'DISCONNECT' }, { packet: 'PINGRESP' }],
  ],
])('MQTT 5: %s is read', (_what, text, decoded) => {
  expect(decode(5, hex(text))).toMatchObject(decoded);
});

test('user properties keep every value, also of a name that an object knows already', () => {
  const pair = (name: string, value: string): string =>
    `26${[name, value].map((text) => Buffer.from(text).length.toString(16).padStart(4, '0') + Buffer.from(text).toString('hex')).join('')}`;
  const section = [
    pair('__proto__', '1'),
    pair('', ''),
    pair('', ''),
    pair('constructor', 'x'),
    pair('constructor', 'y'),
  ].join('');
  const bytes = hex(`0001 61 ${(section.length / 2).toString(16).padStart(2, '0')} ${section}`);
  const [decoded] = decode(5, Buffer.concat([Buffer.from([0x30, bytes.length]), bytes]));
  const own = (decoded as { properties: { userProperties: object } }).properties.userProperties;
  expect(Object.entries(own)).toEqual([
    ['__proto__', '1'],
    ['', ['', '']],
    ['constructor', ['x', 'y']],
  ]);
  expect(Object.getPrototypeOf(own)).toBeNull();
});

test('a payload is its own: what is kept of a small one pins 16 KiB at most', () => {
  const payloads = ['x'.repeat(100), Buffer.alloc(20_000, 1), 'y', '', 'z'.repeat(4_095), Buffer.alloc(4_096, 2)];
  const many = Array.from({ length: 200 }, (_, index) => `${index}`.padStart(256, '-'));
  const sent = [...payloads, ...many].map((payload) => Buffer.from(payload));
  const received = decode(4, Buffer.concat(sent.map((payload) => publish(4, { payload })))) as { payload: Buffer }[];
  expect(received.map(({ payload }) => payload)).toEqual(sent);
  for (const { payload } of received) expect(payload.buffer.byteLength - payload.length).toBeLessThanOrEqual(16_384);
});
