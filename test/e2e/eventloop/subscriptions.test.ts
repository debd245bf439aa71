import type { SubscribeOptions, SubscriptionRefusedEvent } from 'nestjs-rumqtt/eventloop';
import type { ReceivedPacket } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const FAST = { clean: false, reconnect: { minDelayMs: 10, jitter: 'none' } } as const;

function filtersOf(packet: ReceivedPacket<'subscribe'>): string[] {
  return packet.subscriptions.map(({ topic }) => topic);
}

function refusals({ loop }: ScriptedLoop): SubscriptionRefusedEvent[] {
  const events: SubscriptionRefusedEvent[] = [];
  loop.on('subscription-refused', (event) => events.push(event));
  return events;
}

/** Subscribes and waits until that is granted. */
async function subscribed(
  { loop, broker }: ScriptedLoop,
  filters: string | Record<string, SubscribeOptions>,
  options?: SubscribeOptions,
): Promise<void> {
  const connection = broker.connections.at(-1)!;
  const request = loop.subscribe(filters, options);
  connection.suback(await connection.next('subscribe'));
  await request;
}

async function cut(it: ScriptedLoop): Promise<void> {
  it.broker.connections.at(-1)!.cut();
  await it.clock.advance(2_000);
}

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('one call is one SUBSCRIBE, with the options of each filter over those of the call', async () => {
    const { loop, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const request = loop.subscribe(
      { 'a/+': {}, 'b/#': { qos: 2, noLocal: true, retainHandling: 2 }, c: { qos: 0, retainAsPublished: false } },
      { qos: 1, retainAsPublished: true, ...(protocolVersion === 5 ? { subscriptionIdentifier: 7 } : {}) },
    );
    const packet = await connection.next('subscribe');
    const v5 = (nl: boolean, rap: boolean, rh: number): object => (protocolVersion === 5 ? { nl, rap, rh } : {});
    expect(packet.subscriptions).toMatchObject([
      { topic: 'a/+', qos: 1, ...v5(false, true, 0) },
      { topic: 'b/#', qos: 2, ...v5(true, true, 2) },
      { topic: 'c', qos: 0, ...v5(false, false, 0) },
    ]);
    if (protocolVersion === 5) expect(packet.properties).toEqual({ subscriptionIdentifier: 7 });
    connection.suback(packet, [1, 0, 0]);
    expect((await request).granted).toEqual(new Map([['a/+', 1], ['b/#', 0], ['c', 0]])); // prettier-ignore
  });

  test('a refused filter rejects the call, names every refused filter and its reason, and raises an event for each', async () => {
    const it = scriptedLoop({ protocolVersion, ...FAST });
    const connection = await it.connect();
    const events = refusals(it);
    const request = watch(it.loop.subscribe({ mine: { qos: 1 }, secret: {}, 'other/#': {} }));
    const codes = protocolVersion === 5 ? [1, 0x87, 0x97] : [1, 0x80, 0x80];
    connection.suback(await connection.next('subscribe'), codes);
    await it.clock.settle();
    expect(request.error).toMatchObject({
      code: 'MQTT_SUBSCRIBE_REFUSED',
      target: 'secret',
      reasonCode: codes[1],
      refused: new Map([['secret', codes[1]], ['other/#', codes[2]]]), // prettier-ignore
      message: expect.stringContaining('broker refused to subscribe "secret": ') as string,
    });
    expect(events).toMatchObject([
      { filter: 'secret', reasonCode: codes[1] },
      { filter: 'other/#', reasonCode: codes[2] },
    ]);
    expect(it.loop.status).toBe('connected');
    // What was granted is wanted: it comes back after a lost session, and the refused ones do not.
    await cut(it);
    const next = await it.broker.acceptConnected();
    expect(filtersOf(await next.next('subscribe'))).toEqual(['mine']);
    await next.nothing(it.clock);
  });

  test('unsubscribe names its filters and is forgotten after a lost session', async () => {
    const it = scriptedLoop({ protocolVersion, ...FAST });
    const connection = await it.connect();
    await subscribed(it, { a: {}, b: {} });
    const unsubscribed = watch(it.loop.unsubscribe('a'));
    const packet = await connection.next('unsubscribe');
    expect(packet.unsubscriptions).toEqual(['a']);
    connection.unsuback(packet);
    await it.clock.settle();
    expect(unsubscribed.state).toBe('resolved');
    await cut(it);
    const next = await it.broker.acceptConnected();
    expect(filtersOf(await next.next('subscribe'))).toEqual(['b']);
  });

  test('an unsubscribe that was given up before it was sent leaves the subscription as it was', async () => {
    const it = scriptedLoop({ protocolVersion, ...FAST });
    await it.connect();
    await subscribed(it, { a: { qos: 1 }, b: {} });
    await cut(it);
    const unsubscribed = watch(it.loop.unsubscribe('a', { timeoutMs: 1 }));
    await it.clock.advance(1);
    expect(unsubscribed.error).toMatchObject({ code: 'MQTT_TIMEOUT', delivery: 'not-sent' });
    const next = await it.broker.acceptConnected();
    const packet = await next.next('subscribe');
    expect(filtersOf(packet).toSorted()).toEqual(['a', 'b']);
    expect(packet.subscriptions.find(({ topic }) => topic === 'a')).toMatchObject({ qos: 1 });
    await next.nothing(it.clock);
  });

  test('requests that were made while there was no connection leave in order, before any publish', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, inflight: 1 });
    const published = watch(loop.publish('a', 'x', { qos: 1 }));
    const requests = [watch(loop.subscribe('a')), watch(loop.unsubscribe('b')), watch(loop.subscribe('c'))];
    const connection = await connect();
    connection.suback(await connection.next('subscribe'));
    connection.unsuback(await connection.next('unsubscribe'));
    connection.suback(await connection.next('subscribe'));
    connection.puback(await connection.next('publish'));
    await clock.settle();
    expect([published, ...requests].map(({ state }) => state)).toEqual(new Array(4).fill('resolved'));
  });

  test('requests about one filter wait for each other, for brokers answer in any order; others go past them', async () => {
    const it = scriptedLoop({ protocolVersion, ...FAST });
    const connection = await it.connect();
    const requests = [it.loop.subscribe('a'), it.loop.unsubscribe('a'), it.loop.subscribe({ a: {}, b: {} })];
    const others = [it.loop.unsubscribe('b'), it.loop.subscribe('c')];
    const first = await connection.next('subscribe');
    const past = await connection.next('subscribe');
    await connection.nothing(it.clock);
    expect([first, past].map(filtersOf)).toEqual([['a'], ['c']]);
    connection.suback(past);
    connection.suback(first);
    connection.unsuback(await connection.next('unsubscribe'));
    connection.suback(await connection.next('subscribe'));
    const last = await connection.next('unsubscribe');
    expect(last.unsubscriptions).toEqual(['b']);
    connection.unsuback(last);
    await Promise.all([...requests, ...others]);
    await cut(it);
    const next = await it.broker.acceptConnected();
    expect(filtersOf(await next.next('subscribe')).toSorted()).toEqual(['a', 'c']);
  });

  test('resubscribed only without a session, and before user traffic that waited', async () => {
    const it = scriptedLoop({ protocolVersion, ...FAST });
    await it.connect();
    await subscribed(it, 'a/#', { qos: 1 });
    await cut(it);
    void it.loop.publish('a', 'waited', { qos: 1 }).catch(() => undefined);
    void it.loop.subscribe('b').catch(() => undefined);
    const resumed = await it.broker.acceptConnected({ sessionPresent: true });
    expect(filtersOf(await resumed.next('subscribe'))).toEqual(['b']);
    expect((await resumed.next('publish')).payload.toString()).toBe('waited');
    await resumed.nothing(it.clock);
    await cut(it);
    const lost = await it.broker.acceptConnected({ sessionPresent: false });
    expect((await lost.next('subscribe')).subscriptions).toMatchObject([{ topic: 'a/#', qos: 1 }]);
    expect(filtersOf(await lost.next('subscribe'))).toEqual(['b']);
    expect((await lost.next('publish')).payload.toString()).toBe('waited');
  });

  test('an answer that does not fit fails its request and the connection, and does not come back', async () => {
    const it = scriptedLoop({ protocolVersion, ...FAST });
    const connection = await it.connect();
    const request = watch(it.loop.subscribe({ a: {}, b: {} }));
    connection.suback(await connection.next('subscribe'), [0]);
    await it.clock.advance(2_000);
    expect(request.error).toMatchObject({ code: 'MQTT_PROTOCOL_ERROR' });
    const next = await it.broker.acceptConnected({ sessionPresent: true });
    await next.nothing(it.clock);
  });
});

test('MQTT 5: a refused unsubscribe rejects alone and leaves the subscription as it was', async () => {
  const it = scriptedLoop(FAST);
  const connection = await it.connect();
  await subscribed(it, 'a');
  const refused = watch(it.loop.unsubscribe('a'));
  connection.unsuback(await connection.next('unsubscribe'), [0x87]);
  await it.clock.settle();
  expect(refused.error).toMatchObject({ code: 'MQTT_UNSUBSCRIBE_REFUSED', target: 'a', reasonCode: 0x87 });
  expect(it.disconnected).toEqual([]);
  await cut(it);
  const next = await it.broker.acceptConnected();
  expect(filtersOf(await next.next('subscribe'))).toEqual(['a']);
});

test('MQTT 5: an unsubscribe from what never was resolves', async () => {
  const { loop, connect } = scriptedLoop();
  const connection = await connect();
  const unsubscribed = loop.unsubscribe(['a', 'b']);
  connection.unsuback(await connection.next('unsubscribe'), [0x11, 0x11]);
  await expect(unsubscribed).resolves.toBeUndefined();
});

test('after a lost session a subscription that is refused now is told, and tried again after the next loss', async () => {
  const it = scriptedLoop(FAST);
  const events = refusals(it);
  await it.connect();
  await subscribed(it, 'a');
  await cut(it);
  const second = await it.broker.acceptConnected();
  second.suback(await second.next('subscribe'), [0x87], { properties: { reasonString: 'no longer' } });
  await it.clock.settle();
  expect(events).toEqual([{ filter: 'a', reasonCode: 0x87, reason: 'not authorized: no longer' }]);
  await cut(it);
  const third = await it.broker.acceptConnected();
  expect(filtersOf(await third.next('subscribe'))).toEqual(['a']);
});

test.each([
  [
    'wildcards',
    { wildcardSubscriptionAvailable: false },
    [['a/#', 0xa2, 'wildcard subscriptions'], ['$share/g/+', 0xa2, 'wildcard subscriptions']],
    ['a', '$share/g/a'],
  ],
  [
    'shared subscriptions',
    { sharedSubscriptionAvailable: false },
    [['$share/g/a', 0x9e, 'shared subscriptions'], ['$share/g/+', 0x9e, 'shared subscriptions']],
    ['a', 'a/#'],
  ],
] as const)(
  'after a lost session, on a server without %s, those subscriptions are told and the others are made again',
  async (_what, properties, lost, kept) => {
    const it = scriptedLoop(FAST);
    const events = refusals(it);
    await it.connect();
    await subscribed(it, { a: {}, 'a/#': {}, '$share/g/a': {}, '$share/g/+': {} });
    await cut(it);
    const second = await it.broker.acceptConnected({ properties });
    const again = [...filtersOf(await second.next('subscribe')), ...filtersOf(await second.next('subscribe'))];
    expect(again).toEqual(kept);
    await second.nothing(it.clock);
    expect(events).toEqual(
      lost.map(([filter, reasonCode, what]) => ({ filter, reasonCode, reason: expect.stringContaining(what) as string })),
    );
  },
); // prettier-ignore

test('after a lost session subscriptions that no longer fit one packet are made again one by one', async () => {
  const it = scriptedLoop(FAST);
  const events = refusals(it);
  await it.connect();
  const filters = [1, 2, 3].map((index) => `${index}/`.padEnd(60, 'x'));
  await subscribed(it, Object.fromEntries([...filters, 'large'.padEnd(200, 'x')].map((filter) => [filter, {}])));
  await cut(it);
  const second = await it.broker.acceptConnected({ properties: { maximumPacketSize: 100 } });
  for (const filter of filters) expect(filtersOf(await second.next('subscribe'))).toEqual([filter]);
  await second.nothing(it.clock);
  expect(events).toMatchObject([{ reasonCode: 0x95, filter: expect.stringMatching(/^largex/) as string }]);
});
