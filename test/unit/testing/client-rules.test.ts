import type { Packet } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { ScriptedBroker } from '../../../lib/testing/index.js';
import { RawClient } from './raw-client.js';
import { expectViolation, reply, settle, subscribe, type Violating } from './violation.js';

const violations: Violating[] = [
  ['a second CONNECT', 'MQTT-3.1.0-2', { play: (client) => client.connect() }],
  ['a packet that only a server may send', 'direction', { play: (client) => client.send({ cmd: 'pingresp' }) }],
  [
    'a packet after DISCONNECT',
    'MQTT-3.14.4-1',
    { play: (client) => client.send({ cmd: 'disconnect', reasonCode: 0 }, { cmd: 'pingreq' }) },
  ],
  [
    'a packet after the connection was refused',
    'MQTT-3.2.2-7',
    { connack: { reasonCode: 0x87 }, play: (client) => client.send({ cmd: 'pingreq' }) },
  ],
  ['AUTH that nobody asked for', 'MQTT-4.12.0-7', { play: (client) => client.send({ cmd: 'auth', reasonCode: 0x18 }) }],
  [
    'a Session Expiry raised from 0',
    'MQTT-3.14.2.2.2',
    {
      play: (client) => client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 60 } }),
    },
  ],

  // identifiers and exchanges
  ['packet identifier 0', 'MQTT-2.2.1-3', { play: (client) => client.publish(0) }],
  [
    'a publish with the identifier of an unacknowledged one',
    'MQTT-2.2.1-3',
    {
      play: (client) => {
        client.publish(5);
        client.publish(5);
      },
    },
  ],
  [
    'a subscribe with the identifier of an unacknowledged publish',
    'MQTT-2.2.1-3',
    {
      play: (client) => {
        client.publish(5);
        client.send(subscribe('a', 5));
      },
    },
  ],
  [
    'a publish with the identifier of a QoS 2 exchange that waits for PUBCOMP',
    'MQTT-2.2.1-3',
    {
      play: async (client, connection) => {
        client.publish(5, { qos: 2 });
        await settle();
        connection.pubrec(5);
        client.send(reply('pubrel', 5));
        client.publish(5);
      },
    },
  ],
  ['DUP on QoS 0', 'MQTT-3.3.1-2', { play: (client) => client.publish(0, { qos: 0, dup: true }) }],
  ['a resend without a session', 'MQTT-4.4.0-1', { play: (client) => client.publish(1, { dup: true }) }],
  [
    'more unacknowledged publishes than the Receive Maximum',
    'MQTT-3.3.4-7',
    {
      connack: { properties: { receiveMaximum: 2 } },
      play: (client) => {
        for (const id of [1, 2, 3]) client.publish(id, { qos: id === 2 ? 2 : 1 });
      },
    },
  ],
  ['PUBREL without PUBREC', 'MQTT-4.3.3-4', { play: (client) => client.send(reply('pubrel', 3)) }],
  [
    'PUBREL before PUBREC',
    'MQTT-4.3.3-4',
    {
      play: (client) => {
        client.publish(3, { qos: 2 });
        client.send(reply('pubrel', 3));
      },
    },
  ],
  [
    'PUBRELs in another order than their PUBRECs',
    'MQTT-4.6.0-4',
    {
      play: async (client, connection) => {
        for (const id of [1, 2]) client.publish(id, { qos: 2 });
        await settle();
        connection.pubrec(2);
        connection.pubrec(1);
        client.send(reply('pubrel', 1), reply('pubrel', 2));
      },
    },
  ],
  ['an acknowledgement of nothing', 'acknowledgement', { play: (client) => client.send(reply('puback', 1)) }],
  [
    'PUBACK for a QoS 2 message',
    'acknowledgement',
    {
      play: (client, connection) => {
        connection.publish({ topic: 'a', qos: 2, messageId: 1 });
        client.send(reply('puback', 1));
      },
    },
  ],
  [
    'a second PUBACK for one message',
    'acknowledgement',
    {
      play: (client, connection) => {
        connection.publish({ topic: 'a', qos: 1, messageId: 1 });
        client.send(reply('puback', 1), reply('puback', 1));
      },
    },
  ],
  ['PUBCOMP without PUBREL', 'acknowledgement', { play: (client) => client.send(reply('pubcomp', 1)) }],
  ...(['puback', 'pubrec'] as const).map((cmd): Violating => [
    `${cmd.toUpperCase()} in another order than the messages`,
    cmd === 'puback' ? 'MQTT-4.6.0-2' : 'MQTT-4.6.0-3',
    {
      play: (client, connection) => {
        for (const messageId of [1, 2]) connection.publish({ topic: 'a', qos: cmd === 'puback' ? 1 : 2, messageId });
        client.send(reply(cmd, 2), reply(cmd, 1));
      },
    },
  ]),

  // limits of the server
  ...(
    [
      ['Maximum QoS', 'MQTT-3.2.2-11', { maximumQoS: 1 }, { qos: 2 }],
      ['Retain Available', 'MQTT-3.2.2-14', { retainAvailable: false }, { retain: true }],
      ['Maximum Packet Size', 'MQTT-3.2.2-15', { maximumPacketSize: 20 }, { payload: 'x'.repeat(13) }],
      ['Topic Alias Maximum', 'MQTT-3.2.2-17', { topicAliasMaximum: 2 }, { properties: { topicAlias: 3 } }],
    ] as const
  ).map(([limit, rule, properties, fields]): Violating => [
    `a publish beyond the server's ${limit}`,
    rule,
    { connack: { properties }, play: (client) => client.publish(1, fields) },
  ]),
  ...(
    [
      ['wildcard', { wildcardSubscriptionAvailable: false }, subscribe('a/+')],
      ['shared', { sharedSubscriptionAvailable: false }, subscribe('$share/group/a')],
      [
        'identified',
        { subscriptionIdentifiersAvailable: false },
        { ...subscribe('a'), properties: { subscriptionIdentifier: 3 } } as Packet,
      ],
    ] as const
  ).map(([kind, properties, packet]): Violating => [
    `a ${kind} subscription that the server does not support`,
    'limits',
    { connack: { properties }, play: (client) => client.send(packet) },
  ]),
];

describe('a client that breaks a rule is caught', () => {
  it.each(violations)('%s [%s]', (_what, rule, scene) => expectViolation(rule, scene));

  it('while a wait is under way', async () => {
    const broker = new ScriptedBroker();
    const client = await RawClient.dial(broker, 4);
    const connection = await broker.accept();
    const wait = connection.connect();
    client.send({ cmd: 'pingreq' });
    await expect(wait).rejects.toThrow('[MQTT-3.1.0-1] PINGREQ: the first packet is no CONNECT');
    await broker.close();
  });

  it('but not for a rule that the test tolerates', async () => {
    const broker = new ScriptedBroker({ tolerate: ['MQTT-2.2.1-3'] });
    const client = await RawClient.dial(broker, 4);
    client.connect();
    const connection = await broker.acceptConnected();
    client.publish(1);
    client.publish(1);
    await connection.next('publish');
    await connection.next('publish');
    expect(broker.violations).toEqual([]);
    await broker.close();
  });
});
