import { describe, it } from 'vitest';
import { expectViolation, subscribe, type Violating } from './violation.js';

const violations: Violating[] = [
  // topics
  ...['a/+/b', '#', 'a/#'].map((topic): Violating => [
    `the topic name ${topic}`,
    'MQTT-3.3.2-2',
    { play: (client) => client.publish(1, { topic }) },
  ]),
  ['a wildcard in the will', 'MQTT-3.3.2-2', { connect: { will: { topic: '+', payload: '' } }, play: () => undefined }],
  ['a topic name with U+0000', 'MQTT-4.7.3-2', { play: (client) => client.publish(1, { topic: 'a\0' }) }],
  ['an empty topic name', 'MQTT-4.7.3-1', { play: (client) => client.publish(1, { topic: '' }) }],
  [
    'a topic alias that was not set up',
    'MQTT-3.3.2-7',
    {
      connack: { properties: { topicAliasMaximum: 5 } },
      play: (client) => client.publish(1, { topic: '', properties: { topicAlias: 5 } }),
    },
  ],
  ...(
    [
      ['', 'MQTT-4.7.3-1'],
      ['a/#/b', 'MQTT-4.7.1-1'],
      ['a#', 'MQTT-4.7.1-1'],
      ['a+/b', 'MQTT-4.7.1-2'],
      ['$share//a', 'MQTT-4.8.2-1'],
      ['$share/g+/a', 'MQTT-4.8.2-1'],
      ['$share/group', 'MQTT-4.8.2-2'],
    ] as const
  ).flatMap(([filter, rule]): Violating[] => [
    [`subscribing to "${filter}"`, rule, { play: (client) => client.send(subscribe(filter)) }],
    [
      `unsubscribing from "${filter}"`,
      rule,
      { play: (client) => client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: [filter] }) },
    ],
  ]),
  [
    'No Local on a shared subscription',
    'MQTT-3.8.3-4',
    { play: (client) => client.send(subscribe('$share/group/a', 1, { nl: true })) },
  ],

  // properties
  [
    'a Subscription Identifier in PUBLISH',
    'properties',
    { play: (client) => client.publish(1, { properties: { subscriptionIdentifier: 4 } }) },
  ],
  ['topic alias 0', 'properties', { play: (client) => client.publish(1, { properties: { topicAlias: 0 } }) }],
  [
    'a property twice',
    'properties',
    { play: (client) => client.publish(1, { properties: { contentType: ['a', 'b'] } }) },
  ],
  [
    'a will property that belongs elsewhere',
    'properties',
    {
      connect: { will: { topic: 'w', payload: '', properties: { topicAlias: 1 } } },
      play: () => undefined,
    },
  ],

  // bytes
  ['a length that is not minimal', 'framing', { play: (client) => client.send(Buffer.from([0xc0, 0x80, 0x00])) }],
  ['a length of five bytes', 'framing', { play: (client) => client.send(Buffer.from([0x30, 255, 255, 255, 255, 1])) }],
  [
    'a property length that is not minimal',
    'encoding',
    { play: (client) => client.send(Buffer.from([0x30, 5, 0, 1, 0x61, 0x80, 0x00])) },
  ],
  [
    'a topic that is no UTF-8',
    'encoding',
    { version: 4, play: (client) => client.send(Buffer.from([0x30, 4, 0, 2, 0x61, 0xff])) },
  ],
  [
    'bytes behind the end of an acknowledgement',
    'encoding',
    {
      version: 4,
      play: (client, connection) => {
        connection.publish({ topic: 'a', qos: 1, messageId: 1 });
        client.send(Buffer.from([0x40, 3, 0, 1, 0]));
      },
    },
  ],
  ['reserved header flags', 'malformed', { play: (client) => client.send(Buffer.from([0xc1, 0])) }],
  ['a packet that ends too early', 'malformed', { play: (client) => client.send(Buffer.from([0x30, 2, 0, 9])) }],
];

describe('a client that sends nonsense is caught', () => {
  it.each(violations)('%s [%s]', (_what, rule, scene) => expectViolation(rule, scene));
});
