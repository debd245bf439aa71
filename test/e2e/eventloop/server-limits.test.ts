import type { PublishOptions } from 'nestjs-rumqtt/eventloop';
import type { ConnackOptions, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

// The scripted broker checks every packet against what its CONNACK granted; a violation fails the test.

type Limits = NonNullable<ConnackOptions['properties']>;

const limits: [string, Limits, [payload: string, PublishOptions], error: object, good: [string, PublishOptions]][] = [
  [
    'Maximum QoS 0',
    { maximumQoS: 0 },
    ['x', { qos: 1 }],
    { code: 'MQTT_NOT_SUPPORTED_BY_SERVER', feature: 'QoS 1', message: /publish with QoS 0 at most/ },
    ['x', { qos: 0 }],
  ],
  [
    'Maximum QoS 1',
    { maximumQoS: 1 },
    ['x', { qos: 2 }],
    { code: 'MQTT_NOT_SUPPORTED_BY_SERVER', feature: 'QoS 2', message: /publish with QoS 1 at most/ },
    ['x', { qos: 1 }],
  ],
  [
    'Retain Available 0',
    { retainAvailable: false },
    ['x', { retain: true }],
    { code: 'MQTT_NOT_SUPPORTED_BY_SERVER', feature: 'retained messages', message: /publish without retain/ },
    ['x', { retain: false }],
  ],
  [
    'Maximum Packet Size',
    { maximumPacketSize: 200 },
    ['x'.repeat(200), { qos: 1 }],
    { code: 'MQTT_PACKET_TOO_LARGE', limitBytes: 200, limitOf: 'server', message: /Maximum Packet Size of 200 bytes/ },
    ['x'.repeat(150), { qos: 1 }],
  ],
];

function messageMatching({ message, ...rest }: { message?: RegExp }): object {
  return { ...rest, ...(message === undefined ? {} : { message: expect.stringMatching(message) as string }) };
}

async function reconnected(it: ScriptedLoop, connack: ConnackOptions): Promise<ScriptedConnection> {
  it.broker.connections.at(-1)!.cut();
  await it.clock.advance(2_000);
  return it.broker.acceptConnected(connack);
}

const FAST = { clean: false, reconnect: { minDelayMs: 10, jitter: 'none' } } as const;

describe.each(limits)('R9: %s', (_name, properties, [payload, options], error, [goodPayload, goodOptions]) => {
  test('what breaks it fails alone, at sending, and takes no identifier', async () => {
    const it = scriptedLoop();
    // Accepted before anybody knew the limit.
    const bad = watch(it.loop.publish('a', payload, options));
    const good = watch(it.loop.publish('a', goodPayload, goodOptions));
    const connection = await it.connect({ properties });
    const packet = await connection.next('publish');
    expect(packet).toMatchObject({ qos: goodOptions.qos ?? 0, payload: Buffer.from(goodPayload) });
    if (packet.qos === 1) {
      expect(packet.messageId).toBe(1);
      connection.puback(packet);
    }
    await it.clock.settle();
    expect(bad.error).toMatchObject({ ...messageMatching(error), delivery: 'not-sent' });
    expect(good.state).toBe('resolved');
    expect(it.disconnected).toEqual([]);
  });

  test('is checked anew on each connection: lowered, and raised again', async () => {
    const it = scriptedLoop(FAST);
    await it.connect();
    it.broker.connections[0]!.cut();
    await it.clock.settle();
    const refused = watch(it.loop.publish('a', payload, options));
    const lowered = await reconnected(it, { properties });
    await lowered.nothing(it.clock);
    expect(refused.error).toMatchObject(messageMatching(error));
    const raised = await reconnected(it, {});
    void it.loop.publish('a', payload, options).catch(() => undefined);
    expect((await raised.next('publish')).payload.toString()).toBe(payload);
  });

  test('lowered while it was in flight: the resend fails, as one that may have arrived, and those behind it go on', async () => {
    const it = scriptedLoop(FAST);
    const first = await it.connect();
    const qos = Math.max(options.qos ?? 0, 1) as 1 | 2;
    const sent = watch(it.loop.publish('a', payload, { ...options, qos }));
    const behind = watch(it.loop.publish('a', 'behind', { qos: goodOptions.qos ?? 1 }));
    await first.next('publish');
    // Another server of the list, for example; it has no session.
    const connection = await reconnected(it, { properties });
    if (goodOptions.qos !== 0) {
      const packet = await connection.next('publish');
      expect(packet).toMatchObject({ payload: Buffer.from('behind'), dup: false });
      connection.puback(packet);
    }
    await connection.nothing(it.clock);
    expect(sent.error).toMatchObject({ ...messageMatching(error), delivery: 'unknown' });
    expect(behind.state).toBe('resolved');
    expect(it.loop.stats()).toMatchObject({ inflight: 0, queued: 0 });
  });
});

test('R9: Receive Maximum is obeyed on every connection, resends included, and never raises inflight', async () => {
  const it = scriptedLoop({ ...FAST, inflight: 10 });
  const publishes = Array.from({ length: 20 }, (_, i) =>
    watch(it.loop.publish('a', `${i}`, { qos: i % 2 === 0 ? 1 : 2 })),
  );
  for (const [receiveMaximum, expected] of [
    [1, 1],
    [5, 5],
    [100, 10],
    [undefined, 10],
    [3, 3],
  ] as const) {
    const connack = {
      sessionPresent: it.connected.length > 0,
      ...(receiveMaximum && { properties: { receiveMaximum } }),
    };
    const connection = it.connected.length === 0 ? await it.connect(connack) : await reconnected(it, connack);
    for (let sent = 0; sent < expected; sent++)
      expect((await connection.next('publish')).payload.toString()).toBe(`${sent}`);
    await connection.nothing(it.clock);
    expect([it.loop.stats().inflight, it.loop.negotiated?.inflight]).toEqual([expected, expected]);
  }
  const connection = await reconnected(it, { sessionPresent: true, properties: { receiveMaximum: 2 } });
  while (publishes.some(({ state }) => state === 'pending')) {
    const packet = await connection.next();
    if (packet.cmd === 'publish') connection[packet.qos === 1 ? 'puback' : 'pubrec'](packet);
    else if (packet.cmd === 'pubrel') connection.pubcomp(packet);
    await it.clock.settle();
  }
  expect(publishes.every(({ state }) => state === 'resolved')).toBe(true);
});

describe.each([
  ['wildcards', { wildcardSubscriptionAvailable: false }, 'a/#', {}, 'wildcard subscriptions ("a/#")'],
  [
    'wildcards in a share',
    { wildcardSubscriptionAvailable: false },
    '$share/g/+',
    {},
    'wildcard subscriptions ("$share/g/+")',
  ],
  [
    'shared subscriptions',
    { sharedSubscriptionAvailable: false },
    '$share/g/a',
    {},
    'shared subscriptions ("$share/g/a")',
  ],
  [
    'subscription identifiers',
    { subscriptionIdentifiersAvailable: false },
    'a',
    { subscriptionIdentifier: 1 },
    'subscription identifiers',
  ],
] as const)('R9: a server without %s', (_name, properties, filter, options, feature) => {
  test('the subscribe fails alone, and works where the server can', async () => {
    const it = scriptedLoop(FAST);
    const early = watch(it.loop.subscribe(filter, options));
    const fine = watch(it.loop.subscribe('fine'));
    const connection = await it.connect({ properties });
    connection.suback(await connection.next('subscribe'));
    await connection.nothing(it.clock);
    expect(early.error).toMatchObject({ code: 'MQTT_NOT_SUPPORTED_BY_SERVER', feature, delivery: 'not-sent' });
    expect(fine.state).toBe('resolved');
    await expect(it.loop.subscribe(filter, options)).rejects.toMatchObject({ feature });
    expect(it.disconnected).toEqual([]);
    const other = await reconnected(it, { sessionPresent: true });
    const late = it.loop.subscribe(filter, options);
    other.suback(await other.next('subscribe'));
    await expect(late).resolves.toBeDefined();
  });
});

test('R9: a SUBSCRIBE or UNSUBSCRIBE over the Maximum Packet Size fails alone', async () => {
  const { loop, clock, connect, disconnected } = scriptedLoop();
  const connection = await connect({ properties: { maximumPacketSize: 100 } });
  const long = 'x'.repeat(100);
  const error = { code: 'MQTT_PACKET_TOO_LARGE', limitBytes: 100, limitOf: 'server', delivery: 'not-sent' };
  await expect(loop.subscribe(long)).rejects.toMatchObject(error);
  await expect(loop.unsubscribe(long)).rejects.toMatchObject(error);
  const fits = loop.subscribe('fits');
  connection.suback(await connection.next('subscribe'));
  await fits;
  await connection.nothing(clock);
  expect(disconnected).toEqual([]);
});

test('MQTT 3.1.1 knows no limits: everything goes out', async () => {
  const { loop, connect } = scriptedLoop({ protocolVersion: 4 });
  const connection = await connect();
  void loop
    .publish('a', 'x', { qos: 2, retain: true, properties: { contentType: 'text/plain' } })
    .catch(() => undefined);
  expect(await connection.next('publish')).toMatchObject({ qos: 2, retain: true });
  void loop.subscribe('$share/g/#', { subscriptionIdentifier: 5 }).catch(() => undefined);
  expect((await connection.next('subscribe')).subscriptions).toMatchObject([{ topic: '$share/g/#' }]);
});
