import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { lookup } from 'node:dns/promises';
import { createServer, isIPv6, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { freePort } from '../../fixtures/ports.js';

async function connected(options: EventLoopOptions): Promise<EventLoop> {
  const loop = new EventLoop({ reconnect: { minDelayMs: 20, maxDelayMs: 50 }, ...options });
  onTestFinished(async () => void (await loop.shutdown({ drainTimeoutMs: 0 })));
  await loop.start();
  return loop;
}

/** Collects payloads and waits for `count` different ones. */
function collect(loop: EventLoop): { readonly seen: string[]; until(count: number): Promise<void> } {
  const seen: string[] = [];
  let arrived = (): void => undefined;
  loop.onMessage(({ payload }) => {
    seen.push(payload.toString());
    arrived();
  });
  return {
    seen,
    async until(count) {
      while (new Set(seen).size < count) await new Promise<void>((resolve) => (arrived = resolve));
    },
  };
}

function reconnected(loop: EventLoop): Promise<{ readonly sessionPresent: boolean }> {
  return new Promise((resolve) => {
    const off = loop.on('connected', (event) => {
      off();
      resolve(event);
    });
  });
}

interface Restartable extends AsyncDisposable {
  readonly url: string;
  restart(): Promise<void>;
}

/**
 * Publishes through three restarts of the broker; nothing that was accepted may be lost.
 *
 * @returns the payloads that were received, as often as they were
 */
async function expectNothingLostThroughRestarts(
  broker: Restartable,
  protocolVersion: 'auto' | 4 | 5,
): Promise<readonly string[]> {
  const subscriber = await connected({ url: broker.url, protocolVersion, clientId: 'subscriber', clean: false });
  const { seen, until } = collect(subscriber);
  await subscriber.subscribe('restart', { qos: 2 });
  const publisher = await connected({ url: broker.url, protocolVersion, clientId: 'publisher', clean: false });
  const completions: Promise<unknown>[] = [];
  for (let i = 0; i < 600; i++) {
    const { completed } = await publisher.enqueue('restart', `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    completions.push(completed);
    if (i % 200 !== 100) continue;
    const back = reconnected(publisher);
    await broker.restart();
    await back;
  }
  await Promise.all(completions);
  await until(600);
  expect(publisher.stats()).toMatchObject({ publishesFailed: 0, reconnects: 3 });
  return seen;
}

describe('aedes', () => {
  test('restarts with its sessions: nothing accepted is lost', { timeout: 60_000 }, async () => {
    // Its sessions are in memory, and now and then it has forgotten by the cut how far an exchange had got: QoS 2 may come twice.
    await using broker = await AedesBroker.start();
    const seen = await expectNothingLostThroughRestarts(broker, 'auto');
    expect(new Set(seen).size).toBe(600);
  });

  test('restarts without its sessions: what was open is published again, subscriptions are made again', async () => {
    await using broker = await AedesBroker.start();
    const subscriber = await connected({ url: broker.url });
    const { seen, until } = collect(subscriber);
    await subscriber.subscribe('restart', { qos: 1 });
    const publisher = await connected({ url: broker.url });
    const down = new Promise((resolve) => publisher.on('disconnected', resolve));
    const back = reconnected(subscriber);
    const restarted = broker.restart({ keep: false, downMs: 50 });
    await down;
    const open = publisher.publish('restart', 'while it was down', { qos: 1 });
    await restarted;
    expect(await back).toMatchObject({ sessionPresent: false });
    expect(await open).toEqual({ qos: 1, reasonCode: 0 });
    // Behind the subscribe that the loop made by itself.
    await subscriber.publish('restart', 'after', { qos: 1 });
    while (!seen.includes('after')) await until(new Set(seen).size + 1);
    expect(publisher.stats()).toMatchObject({ publishesFailed: 0, reconnects: 1 });
  });
});

describeWithMosquitto('Mosquitto', () => {
  test.each([4, 5] as const)(
    'MQTT %i: restarts with its sessions: nothing accepted is lost, QoS 2 comes once',
    { timeout: 60_000 },
    async (version) => {
      await using broker = await Mosquitto.start({ persistence: 'on-exit', maxInflightMessages: 100 });
      const seen = await expectNothingLostThroughRestarts(broker, version);
      const ofQos2 = seen.filter((payload) => Number(payload) % 2 === 1);
      expect(ofQos2).toHaveLength(300);
    },
  );

  test.each([4, 5] as const)(
    'MQTT %i: loses every session: subscriptions come back, what was open completes',
    { timeout: 60_000 },
    async (version) => {
      await using broker = await Mosquitto.start({ persistence: 'none' });
      const subscriber = await connected({
        url: broker.url,
        protocolVersion: version,
        clientId: 'subscriber',
        clean: false,
      });
      const { seen, until } = collect(subscriber);
      await subscriber.subscribe('restart', { qos: 1 });
      const publisher = await connected({
        url: broker.url,
        protocolVersion: version,
        clientId: 'publisher',
        clean: false,
      });
      await broker.kill();
      const open = ['1', '2', '3'].map((payload) => publisher.publish('restart', payload, { qos: 2 }));
      const back = reconnected(subscriber);
      await broker.restart();
      expect(await back).toMatchObject({ sessionPresent: false });
      await expect(Promise.all(open)).resolves.toHaveLength(3);
      // The subscriber may have come back after these were published; this one comes after its subscribe.
      await subscriber.publish('restart', 'marker', { qos: 1 });
      await until(1);
      while (!seen.includes('marker')) await until(seen.length + 1);
      expect(publisher.stats().publishesFailed).toBe(0);
    },
  );

  test('shared subscriptions split the messages among their group', async () => {
    await using broker = await Mosquitto.start();
    const members = await Promise.all([connected({ url: broker.url }), connected({ url: broker.url })]);
    const shares = members.map(collect);
    for (const member of members) await member.subscribe('$share/group/work/+', { qos: 1 });
    const publisher = await connected({ url: broker.url });
    for (let i = 0; i < 20; i++) await publisher.publish(`work/${i}`, `${i}`, { qos: 1 });
    const all = (): string[] => shares.flatMap(({ seen }) => seen);
    while (all().length < 20) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(all().toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
    expect(shares.every(({ seen }) => seen.length > 0)).toBe(true);
  });

  test('MQTT 5: every property makes the round trip, subscription identifiers come back, noLocal and retain options hold', async () => {
    await using broker = await Mosquitto.start();
    const loop = await connected({ url: broker.url, protocolVersion: 5 });
    const messages = loop.messages();
    await loop.subscribe('a/+', { qos: 1, subscriptionIdentifier: 7, retainAsPublished: true });
    await loop.subscribe('local', { qos: 1, noLocal: true });
    const properties = {
      payloadFormatIndicator: true,
      messageExpirySeconds: 3_600,
      responseTopic: 'answers/ä',
      correlationData: Buffer.from([0, 255, 1]),
      contentType: 'text/plain',
      userProperties: { region: 'eu', list: ['1', '2'] },
    };
    await loop.publish('local', 'never comes back', { qos: 1 });
    await loop.publish('a/1', 'x', { qos: 1, retain: true, properties });
    const { value } = await messages.next();
    expect(value).toMatchObject({ topic: 'a/1', retain: true });
    expect({ ...value?.properties, userProperties: { ...value?.properties?.userProperties } }).toEqual({
      ...properties,
      messageExpirySeconds: expect.toSatisfy((seconds: number) => seconds > 3_000 && seconds <= 3_600) as number,
      subscriptionIdentifiers: [7],
    });
    await loop.subscribe('a/+', { qos: 1, retainHandling: 2 });
    await loop.publish('a/2', 'only this', { qos: 1 });
    expect((await messages.next()).value?.topic).toBe('a/2');
  });

  test('several servers: the first that answers is used, and after a loss the next one', async () => {
    await using first = await Mosquitto.start();
    await using second = await Mosquitto.start();
    const nobody = `mqtt://127.0.0.1:${await freePort()}`;
    const loop = await connected({ url: [nobody, first.url, second.url], protocolVersion: 4 });
    expect(loop.negotiated?.server).toBe(first.url);
    const moved = new Promise<string>((resolve) =>
      loop.on('connected', ({ negotiated }) => resolve(negotiated.server)),
    );
    await first.stop();
    expect(await moved).toBe(second.url);
    await loop.publish('a', 'x', { qos: 1 });
  });
});

const loopback = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal }) => internal)
  .map(({ address }) => address);
const localhost = (await lookup('localhost', { all: true })).map(({ address }) => address);

/** A port that only this address listens on, and what serves it. */
async function listenOn(address: string, broker: AedesBroker): Promise<number> {
  const server = createServer((socket) => broker.aedes.handle(socket));
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, address, resolve));
  return (server.address() as AddressInfo).port;
}

test.each(loopback)('a broker that listens on %s alone is reached by its address', async (address) => {
  await using broker = await AedesBroker.start();
  const port = await listenOn(address, broker);
  const loop = await connected({ url: `mqtt://${isIPv6(address) ? `[${address}]` : address}:${port}` });
  expect(await loop.publish('a', 'x', { qos: 1 })).toEqual({ qos: 1, reasonCode: 0 });
  await loop.shutdown();
});

test.each(localhost)(
  'a broker that listens on %s alone is reached as localhost, in whatever order names resolve',
  async (address) => {
    await using broker = await AedesBroker.start();
    const loop = await connected({ url: `mqtt://localhost:${await listenOn(address, broker)}` });
    expect(await loop.publish('a', 'x', { qos: 1 })).toEqual({ qos: 1, reasonCode: 0 });
    await loop.shutdown();
  },
);
