import { EventLoop, type EventLoopOptions, type IncomingMessage } from 'nestjs-rumqtt/eventloop';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';

type Broker = AsyncDisposable & { readonly url: string; readonly port: number };

/** A started loop that ends with the test. */
async function connected(url: string, options: EventLoopOptions = {}): Promise<EventLoop> {
  const loop = new EventLoop({ url, reconnect: { minDelayMs: 20, maxDelayMs: 50 }, ...options });
  onTestFinished(async () => void (await loop.shutdown({ drainTimeoutMs: 0 })));
  await loop.start();
  return loop;
}

/** What comes in, to be waited for by number. */
function inbox(loop: EventLoop): {
  readonly messages: IncomingMessage[];
  until(count: number): Promise<IncomingMessage[]>;
} {
  const messages: IncomingMessage[] = [];
  let arrived = (): void => undefined;
  loop.onMessage((message) => {
    messages.push(message);
    arrived();
  });
  return {
    messages,
    async until(count) {
      while (messages.length < count) await new Promise<void>((resolve) => (arrived = resolve));
      return messages;
    },
  };
}

function texts(messages: readonly IncomingMessage[]): string[] {
  return messages.map(({ topic, payload }) => `${topic} ${payload.toString()}`);
}

/** The `connected` event after the next loss. */
function reconnected(loop: EventLoop): Promise<{ readonly sessionPresent: boolean }> {
  return new Promise((resolve) => {
    const off = loop.on('connected', (event) => {
      off();
      resolve(event);
    });
  });
}

/** What holds on every broker and version. `protocolVersion` is what the loop asks for, `spoken` what comes of it. */
function behavesAsABrokerShould(start: () => Promise<Broker>, protocolVersion: 'auto' | 4 | 5, spoken: 4 | 5): void {
  const session = { protocolVersion, clientId: 'keeper', clean: false } as const;

  test(`speaks version ${spoken}`, async () => {
    await using broker = await start();
    const loop = await connected(broker.url, { protocolVersion });
    expect(loop.negotiated).toMatchObject({ protocolVersion: spoken, sessionPresent: false });
    const again = reconnected(loop);
    await loop.reconnect();
    await again;
    expect(loop.negotiated?.protocolVersion).toBe(spoken);
    expect(loop.stats()).toMatchObject({ connectFailures: 0, protocolErrors: 0 });
  });

  test('QoS 0, 1 and 2 both ways, each delivered once and with the smaller of both QoS', async () => {
    await using broker = await start();
    const loop = await connected(broker.url, { protocolVersion });
    const received = inbox(loop);
    const { granted } = await loop.subscribe({ 'to/0': { qos: 0 }, 'to/1': { qos: 1 }, 'to/2': { qos: 2 } });
    expect([...granted]).toEqual([['to/0', 0], ['to/1', 1], ['to/2', 2]]); // prettier-ignore
    for (const to of [0, 1, 2]) for (const qos of [0, 1, 2] as const) await loop.publish(`to/${to}`, `${qos}`, { qos });
    const messages = await received.until(9);
    expect(messages.map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`)).toEqual(
      [0, 1, 2].flatMap((to) => [0, 1, 2].map((qos) => `to/${to} ${qos} ${Math.min(to, qos)}`)),
    );
    await loop.publish('to/2', 'last', { qos: 2 });
    expect(await received.until(10)).toHaveLength(10);
  });

  test('a retained message is kept, sent to new subscribers, and cleared by an empty one', async () => {
    await using broker = await start();
    const loop = await connected(broker.url, { protocolVersion });
    await loop.publish('kept', 'state', { qos: 1, retain: true });
    const late = await connected(broker.url, { protocolVersion });
    const received = inbox(late);
    await late.subscribe('kept', { qos: 1 });
    expect((await received.until(1))[0]).toMatchObject({ topic: 'kept', retain: true, payload: Buffer.from('state') });
    await loop.publish('kept', '', { qos: 1, retain: true });
    const later = await connected(broker.url, { protocolVersion });
    const nothing = inbox(later);
    await later.subscribe({ kept: { qos: 1 }, marker: { qos: 1 } });
    await later.publish('marker', 'x', { qos: 1 });
    expect(texts(await nothing.until(1))).toEqual(['marker x']);
  });

  test('wildcards match as the specification reads; unsubscribed topics stop', async () => {
    await using broker = await start();
    const loop = await connected(broker.url, { protocolVersion });
    const received = inbox(loop);
    await loop.subscribe({ 'a/+': { qos: 1 }, 'b/#': { qos: 1 }, end: { qos: 1 } });
    for (const topic of ['a', 'a/1', 'a/1/2', 'b', 'b/1', 'b/1/2', 'c']) await loop.publish(topic, '', { qos: 1 });
    await loop.unsubscribe(['a/+', 'b/#']);
    for (const topic of ['a/1', 'b/1', 'end']) await loop.publish(topic, 'late', { qos: 1 });
    const messages = await received.until(5);
    expect(messages.map(({ topic }) => topic)).toEqual(['a/1', 'b', 'b/1', 'b/1/2', 'end']);
  });

  test('payloads of any bytes, up to a packet of 256 KiB exactly, arrive as they were', async () => {
    await using broker = await start();
    const loop = await connected(broker.url, { protocolVersion });
    const received = inbox(loop);
    await loop.subscribe('bytes', { qos: 2 });
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    // Type, three bytes of length, topic, identifier, and on MQTT 5 the length of the properties.
    const largest = Buffer.alloc(256 * 1_024 - 4 - 7 - 2 - 1, everyByte);
    for (const payload of [everyByte, new Uint8Array(0), largest]) await loop.publish('bytes', payload, { qos: 2 });
    const messages = await received.until(3);
    expect(messages.map(({ payload }) => payload.length)).toEqual([256, 0, largest.length]);
    expect(messages[0]!.payload.equals(everyByte) && messages[2]!.payload.equals(largest)).toBe(true);
    await expect(loop.publish('bytes', Buffer.concat([largest, Buffer.alloc(1)]), { qos: 1 })).rejects.toMatchObject({
      code: 'MQTT_PACKET_TOO_LARGE',
    });
  });

  test('the will is published when the link is cut, cancelled by a shutdown, and published on demand', async () => {
    await using broker = await start();
    await using proxy = await TcpProxy.start(broker.port);
    const watcher = await connected(broker.url, { protocolVersion });
    const received = inbox(watcher);
    await watcher.subscribe({ 'will/#': { qos: 1 }, marker: { qos: 1 } });
    const withWill = (name: string): Promise<EventLoop> =>
      connected(proxy.url, { protocolVersion, will: { topic: `will/${name}`, payload: 'gone', qos: 1 } });
    await withWill('cut');
    proxy.cut();
    expect(texts(await received.until(1))).toEqual(['will/cut gone']);
    await (await withWill('shutdown')).shutdown();
    await (await withWill('pause')).pause();
    await (await withWill('on demand')).shutdown({ publishWill: true });
    await received.until(2);
    await watcher.publish('marker', 'x', { qos: 1 });
    expect(texts(await received.until(3))).toEqual(['will/cut gone', 'will/on demand gone', 'marker x']);
  });

  test('a kept session brings what came in between and needs no subscribe; a lost one is subscribed again', async () => {
    await using broker = await start();
    await using proxy = await TcpProxy.start(broker.port);
    const publisher = await connected(broker.url, { protocolVersion });
    const keeper = await connected(proxy.url, session);
    const received = inbox(keeper);
    await keeper.subscribe('in', { qos: 1 });
    await proxy.down();
    await publisher.publish('in', 'in between', { qos: 1 });
    const resumed = reconnected(keeper);
    await proxy.up();
    expect(await resumed).toMatchObject({ sessionPresent: true });
    expect(texts(await received.until(1))).toEqual(['in in between']);

    const forgetful = await connected(proxy.url, { protocolVersion });
    const heard = inbox(forgetful);
    await forgetful.subscribe('in', { qos: 1 });
    const anew = reconnected(forgetful);
    proxy.cut();
    expect(await anew).toMatchObject({ sessionPresent: false });
    // Behind the subscribes that the loop makes by itself.
    await forgetful.publish('in', 'after', { qos: 1 });
    expect(texts(await heard.until(1))).toEqual(['in after']);
    expect(texts(await received.until(2))).toEqual(['in in between', 'in after']);
  });
}

describe('aedes, by fallback', () => {
  behavesAsABrokerShould(() => AedesBroker.start(), 'auto', 4);
});

describeWithMosquitto('Mosquitto, MQTT 5', () => {
  behavesAsABrokerShould(() => Mosquitto.start(), 'auto', 5);
});

describeWithMosquitto('Mosquitto, MQTT 3.1.1', () => {
  behavesAsABrokerShould(() => Mosquitto.start(), 4, 4);
});
