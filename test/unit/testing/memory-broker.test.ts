import { EventLoop, type EventLoopOptions, type IncomingMessage } from 'nestjs-rumqtt/eventloop';
import { MemoryBroker, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, it, onTestFinished } from 'vitest';

interface Peer {
  readonly loop: EventLoop;
  readonly received: IncomingMessage[];
}

function start(protocolVersion: 4 | 5 = 5): {
  readonly broker: MemoryBroker;
  readonly clock: VirtualClock;
  connect(options?: EventLoopOptions): Promise<Peer>;
} {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock, protocolVersion, guardMs: 200 });
  const loops: EventLoop[] = [];
  onTestFinished(async () => {
    const closing = loops.map((loop) => loop.shutdown({ drainTimeoutMs: 0 }));
    await clock.advance(1_000);
    await Promise.all(closing);
    await broker.close();
    broker.assertClean();
    expect(clock.pendingTimers).toBe(0);
  });
  return {
    broker,
    clock,
    async connect(options) {
      const loop = new EventLoop(options, broker.runtime);
      loops.push(loop);
      const received: IncomingMessage[] = [];
      loop.onMessage((message) => void received.push(message));
      await loop.start();
      return { loop, received };
    },
  };
}

const topics = ({ received }: Peer): string[] => received.map(({ topic }) => topic);

describe.each([5, 4] as const)('a memory broker of protocol version %i', (version) => {
  it('speaks its version', async () => {
    const started = start(version);
    const { loop } = await started.connect();
    expect(loop.negotiated?.protocolVersion).toBe(version);
  });

  it('routes by filters, once to each client, at the lower QoS', async () => {
    const { connect, clock, broker } = start(version);
    const one = await connect();
    await one.loop.subscribe({ 'a/+': { qos: 1 }, 'a/#': { qos: 2 }, '#': { qos: 0 } });
    const other = await connect();

    for (const qos of [0, 1, 2] as const) await other.loop.publish('a/b', String(qos), { qos });
    await other.loop.publish('c', 'x', { qos: 2 });
    await clock.settle();

    expect(one.received.map(({ topic, qos, payload }) => [topic, qos, payload.toString()])).toEqual([
      ['a/b', 0, '0'],
      ['a/b', 1, '1'],
      ['a/b', 2, '2'],
      ['c', 0, 'x'],
    ]);
    expect(other.received).toEqual([]);
    expect(broker.subscriptions).toEqual(['a/+', 'a/#', '#']);
    await one.loop.unsubscribe(['a/+', 'a/#', '#']);
    expect(broker.subscriptions).toEqual([]);
  });

  it('retains messages, and forgets one when an empty one comes', async () => {
    const { connect, clock, broker } = start(version);
    broker.publish('state', 'on', { retain: true });
    const one = await connect();
    await one.loop.subscribe('state', { qos: 1 });
    await clock.settle();
    broker.publish('state', undefined, { retain: true });
    const two = await connect();
    await two.loop.subscribe('state');
    await clock.settle();

    expect(one.received.map(({ payload, retain }) => [payload.toString(), retain])).toEqual([
      ['on', true],
      ['', false],
    ]);
    expect(two.received).toEqual([]);
  });

  it('gives messages of a shared subscription to its members in turn', async () => {
    const { connect, clock, broker } = start(version);
    const members = [await connect(), await connect()];
    for (const { loop } of members) await loop.subscribe('$share/group/jobs/#', { qos: 1 });
    for (let job = 0; job < 4; job++) broker.publish(`jobs/${job}`);
    await clock.settle();

    expect(members.map(topics)).toEqual([
      ['jobs/0', 'jobs/2'],
      ['jobs/1', 'jobs/3'],
    ]);
  });

  it('keeps a session and what came meanwhile, if it was asked to', async () => {
    const { connect, clock, broker } = start(version);
    const kept = await connect({ clientId: 'kept', clean: false, sessionExpirySeconds: 3_600 });
    await kept.loop.subscribe('news', { qos: 1 });
    const forgotten = await connect({ clientId: 'forgotten' });
    await forgotten.loop.subscribe('news', { qos: 1 });

    broker.down();
    broker.cut();
    await clock.settle();
    expect(broker.subscriptions).toEqual(['news']);
    const deliveries = broker.publish('news', 'of the outage');
    expect(deliveries).toMatchObject([{ clientId: 'kept', reasonCode: undefined }]);
    broker.up();
    await clock.advance(5_000);

    expect(topics(kept)).toEqual(['news']);
    expect(deliveries).toMatchObject([{ reasonCode: 0 }]);
    expect(forgotten.received).toEqual([]);
    expect(broker.subscriptions).toEqual(['news', 'news']);
  });

  it('sends again what was not acknowledged, with DUP', async () => {
    const { broker, clock } = start(version);
    const loop = new EventLoop(
      { clientId: 'slow', clean: false, sessionExpirySeconds: 60, acknowledge: 'manual' },
      broker.runtime,
    );
    const received: IncomingMessage[] = [];
    loop.onMessage((message) => void received.push(message));
    await loop.start();
    await loop.subscribe('a', { qos: 2 });
    broker.publish('a', 'x', { qos: 1 });
    await clock.settle();
    broker.cut();
    await clock.advance(5_000);
    expect(received.map(({ dup }) => dup)).toEqual([false, true]);
    received[1]!.acknowledge();
    await loop.shutdown();
  });

  it('publishes the will of a client that is gone without a word, and not that of one that leaves', async () => {
    const { connect, clock, broker } = start(version);
    const will = { topic: 'online', payload: 'no', qos: 1, retain: true } as const;
    const leaving = await connect({ clientId: 'leaving', will });
    await leaving.loop.shutdown();
    await clock.settle();
    broker.assertNothingPublished();
    await connect({ clientId: 'lost', will });
    broker.down();
    broker.cut();

    const message = await broker.nextPublish('online');
    expect([message.clientId, message.text, message.qos, message.retain]).toEqual(['lost', 'no', 1, true]);
  });

  it('lets a client take over the session of another one', async () => {
    const { connect, broker, clock } = start(version);
    const old = await connect({ clientId: 'same', reconnect: { policy: 'never' } });
    await old.loop.subscribe('a');
    const fresh = await connect({ clientId: 'same' });
    await clock.settle();
    expect(old.loop.status).toBe('closed');
    broker.publish('a');
    await clock.settle();
    expect([topics(old), topics(fresh)]).toEqual([[], []]);
  });
});

describe('a memory broker of MQTT 5', () => {
  it('says that nobody subscribes, keeps properties, and honours subscription options', async () => {
    const { connect, clock, broker } = start();
    const one = await connect();
    await expect(one.loop.publish('nobody', '', { qos: 1 })).resolves.toMatchObject({ reasonCode: 0x10 });
    await one.loop.subscribe('a', { qos: 1, noLocal: true, retainAsPublished: true, subscriptionIdentifier: 7 });
    const properties = {
      contentType: 'text/plain',
      messageExpirySeconds: 60,
      responseTopic: 'answers',
      correlationData: Buffer.from([1]),
      payloadFormatIndicator: true,
      userProperties: { trace: ['1', '2'], one: 'x' },
    };
    await one.loop.publish('a', 'own', { qos: 1, properties });
    broker.publish('a', 'of another one', { retain: true, properties });
    await clock.settle();

    expect(broker.published.at(-1)?.properties).toEqual(properties);
    expect(one.received).toHaveLength(1);
    expect(one.received[0]).toMatchObject({
      retain: true,
      properties: { ...properties, subscriptionIdentifiers: [7] },
    });
  });

  it('sends no more at once than the client can take', async () => {
    const { broker, clock } = start();
    const loop = new EventLoop({ receiveMaximum: 2, acknowledge: 'manual' }, broker.runtime);
    const received: IncomingMessage[] = [];
    loop.onMessage((message) => void received.push(message));
    await loop.start();
    await loop.subscribe('a', { qos: 1 });
    for (let index = 0; index < 3; index++) broker.publish('a', index);
    await clock.settle();
    expect(received).toHaveLength(2);
    received[0]!.acknowledge();
    await clock.settle();
    expect(received).toHaveLength(3);
    await loop.shutdown({ drainTimeoutMs: 0 });
  });

  it('stands for every server, looked up or not', async () => {
    const { connect } = start();
    await connect({ url: 'mqtt+srv://plants.invalid' });
    const { loop } = await connect({ url: ['wss://plants.invalid/mqtt', 'mqtts://plants.invalid'] });
    expect(loop.status).toBe('connected');
  });

  it('refuses what cannot be a topic or a filter', () => {
    const { broker } = start();
    expect(() => broker.publish('a/#')).toThrow('without "+" and "#"');
    expect(() => broker.assertPublished('a/#/b')).toThrow('only as the last level');
    expect(() => broker.watch('', () => undefined)).toThrow('filter');
  });
});
