import { EventLoop, type MessageDroppedEvent } from 'nestjs-rumqtt/eventloop';
import type { ReceivedPacket, ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const TINY = { incomingCapacity: 1, receiveMaximum: 1, inflight: 1, requestCapacity: 1 } as const;

/** What a handler waits for before its message counts as handled. */
const waits: [string, (loop: EventLoop) => Promise<unknown>][] = [
  ['publishes QoS 0', (loop) => loop.publish('out', 'x', { qos: 0 })],
  ['publishes QoS 1', (loop) => loop.publish('out', 'x', { qos: 1 })],
  ['publishes QoS 2', (loop) => loop.publish('out', 'x', { qos: 2 })],
  ['subscribes', (loop) => loop.subscribe('more/#')],
  ['unsubscribes', (loop) => loop.unsubscribe('more/#')],
];

/** Answers what the client asks for, as a broker with nothing else to do; returns what it left to the test. */
function answer(connection: ScriptedConnection, packet: ReceivedPacket): ReceivedPacket | undefined {
  if (packet.cmd === 'publish' && packet.qos === 1) connection.puback(packet);
  else if (packet.cmd === 'publish' && packet.qos === 2) connection.pubrec(packet);
  else if (packet.cmd === 'pubrel') connection.pubcomp(packet);
  else if (packet.cmd === 'subscribe') connection.suback(packet);
  else if (packet.cmd === 'unsubscribe') connection.unsuback(packet);
  else if (packet.cmd !== 'publish') return packet;
  return undefined;
}

async function until(connection: ScriptedConnection, name: ReceivedPacket['cmd']): Promise<ReceivedPacket> {
  for (;;) {
    const packet = answer(connection, await connection.next());
    if (packet?.cmd === name) return packet;
  }
}

describe.each([4, 5] as const)('tiny limits, protocol version %i: a handler that', (protocolVersion) => {
  test.each(waits)('%s and waits is no deadlock for QoS 1 and 2', async (_name, wait) => {
    const { loop, connect } = scriptedLoop({ protocolVersion, ...TINY });
    let handled = 0;
    loop.onMessage(async () => {
      await wait(loop);
      handled++;
    });
    const connection = await connect();
    for (let messageId = 1; messageId <= 5; messageId++) {
      const qos = messageId % 2 === 0 ? 1 : 2;
      connection.publish({ topic: 'in', qos, messageId });
      if (qos === 1) expect(await until(connection, 'puback')).toMatchObject({ messageId });
      else {
        expect(await until(connection, 'pubrec')).toMatchObject({ messageId });
        connection.pubrel(messageId);
        expect(await until(connection, 'pubcomp')).toMatchObject({ messageId });
      }
      expect(handled).toBe(messageId);
    }
  });

  test.each(waits)('%s and waits is no deadlock in a flood of QoS 0', async (_name, wait) => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, ...TINY });
    const dropped: MessageDroppedEvent[] = [];
    loop.on('message-dropped', (event) => dropped.push(event));
    let handled = 0;
    loop.onMessage(async () => {
      await wait(loop);
      handled++;
    });
    const connection = await connect();
    for (let i = 0; i < 30; i++) connection.publish({ topic: 'in' });
    for (let turn = 0; turn < 40; turn++) {
      await clock.settle();
      const unanswered = connection.received.filter(({ cmd }) => cmd !== 'connect' && cmd !== 'pingreq').slice(turn);
      if (unanswered[0] !== undefined) answer(connection, unanswered[0]);
    }
    expect(handled).toBeGreaterThan(0);
    expect(handled + dropped.length).toBe(30);
    expect(loop.stats()).toMatchObject({ unsettled: 0, readingPaused: false, messagesDropped: dropped.length });
  });

  test('publishes and waits, many at once: those who wait for the queue get their turn', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, ...TINY, receiveMaximum: 10 });
    const handlers: string[] = [];
    loop.onMessage(async ({ payload }) => {
      await loop.publish('out', payload, { qos: 1 });
      handlers.push(payload.toString());
    });
    const connection = await connect();
    for (let id = 1; id <= 10; id++) connection.publish({ topic: 'in', payload: `${id}`, qos: 1, messageId: id });
    for (let id = 1; id <= 10; id++) expect(await until(connection, 'puback')).toMatchObject({ messageId: id });
    await clock.settle();
    expect(handlers).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
  });
});

describe.each([4, 5] as const)('handlers that never settle, protocol version %i', (protocolVersion) => {
  test('R6: a flood of QoS 0: reading pauses at the bounds, pings leave, an outgoing publish still gets its answer', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({
      protocolVersion,
      incomingCapacity: 100,
      keepAliveSeconds: 10,
    });
    const dropped: MessageDroppedEvent[] = [];
    loop.on('message-dropped', (event) => dropped.push(event));
    loop.onMessage(() => new Promise(() => undefined));
    const connection = await connect();
    const send = (): void => connection.publish({ topic: 'flood', payload: Buffer.alloc(1_000) });
    for (let i = 0; i < 200; i++) send();
    await clock.settle();
    for (let i = 0; i < 800; i++) send();
    await clock.advance(60_000);
    expect(loop.stats()).toMatchObject({
      unsettled: 100,
      unsettledBytes: 100_000,
      readingPaused: true,
      messagesDropped: 0,
    });
    expect(connection.backlogBytes).toBeGreaterThanOrEqual(800_000);
    expect(connection.received.filter(({ cmd }) => cmd === 'pingreq').length).toBeGreaterThanOrEqual(5);
    expect(disconnected).toEqual([]);

    const published = watch(loop.publish('out', 'x', { qos: 1 }));
    await clock.settle();
    connection.puback(connection.received.find((packet) => packet.cmd === 'publish')!);
    for (let turns = 0; turns < 200 && published.state === 'pending'; turns++) await clock.settle();
    expect(published.state).toBe('resolved');
    // What lay before the PUBACK was shed, counted and told; what comes behind it waits in the socket again.
    expect(dropped).toHaveLength(900);
    expect(dropped[0]).toEqual({ direction: 'incoming', topic: 'flood', qos: 0, reason: 'incoming-overflow' });
    expect(loop.stats()).toMatchObject({ unsettled: 100, unsettledBytes: 100_000, messagesDropped: 900 });
    send();
    send();
    await clock.settle();
    expect(loop.stats()).toMatchObject({ readingPaused: true, messagesDropped: 900, unsettled: 100 });
  });

  test('R7: QoS 1 and 2: never more than receiveMaximum are at work, and the connection stays', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, receiveMaximum: 10 });
    loop.onMessage(() => new Promise(() => undefined));
    const connection = await connect();
    connection.autoPing = true;
    // A broker of MQTT 3.1.1 knows no limit.
    for (let messageId = 1; messageId <= (protocolVersion === 5 ? 10 : 500); messageId++) {
      connection.publish({ topic: 'in', qos: messageId % 2 === 0 ? 1 : 2, messageId, payload: Buffer.alloc(1_000) });
    }
    await clock.advance(300_000);
    expect(loop.stats()).toMatchObject({ unsettled: 10, unsettledBytes: 10_000 });
    expect(disconnected).toEqual([]);
  });
});

test('MQTT 5: a server that ignores our Receive Maximum is told once; from then on it is held back by not reading', async () => {
  const { loop, broker, clock, connect, disconnected } = scriptedLoop({
    clean: false,
    receiveMaximum: 5,
    reconnect: { minDelayMs: 10, jitter: 'none' },
  });
  const waiting: (() => void)[] = [];
  loop.onMessage(() => new Promise<void>((resolve) => waiting.push(resolve)));
  let connection = await connect();
  const overrun = (): void => {
    for (let messageId = 1; messageId <= 50; messageId++) connection.publish({ topic: 'in', qos: 1, messageId });
  };
  overrun();
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x93 });
  await clock.advance(2_000);
  connection = await broker.acceptConnected({ sessionPresent: true });
  for (const finish of waiting.splice(0)) finish();
  await clock.settle();
  overrun();
  for (let handled = 0; handled < 50; handled++) {
    await clock.settle();
    expect(waiting.length - handled).toBeLessThanOrEqual(5);
    waiting[handled]!();
    expect(await connection.next('puback')).toMatchObject({ messageId: handled + 1 });
  }
  expect(disconnected).toHaveLength(1);
  expect(loop.stats().protocolErrors).toBe(1);
});

describeWithMosquitto('tiny limits against Mosquitto', () => {
  test.each([4, 5] as const)(
    'protocol version %i: a handler that publishes, subscribes and waits gets through a flood',
    { timeout: 120_000 },
    async (protocolVersion) => {
      await using broker = await Mosquitto.start();
      const loop = new EventLoop({
        url: broker.url,
        protocolVersion,
        ...TINY,
        clean: false,
        reconnect: { minDelayMs: 10, maxDelayMs: 20 },
      });
      const flooder = new EventLoop({ url: broker.url });
      const handled = new Set<string>();
      const done = new Promise<void>((resolve) => {
        loop.onMessage(async ({ topic, payload, qos }) => {
          if (topic === 'flood/0') return;
          await loop.publish('out', payload, { qos });
          if (handled.size % 20 === 0) await loop.subscribe(`more/${payload.toString()}`);
          await loop.publish('out', payload);
          handled.add(payload.toString());
          if (handled.size === 200) resolve();
        });
      });
      await Promise.all([loop.start(), flooder.start()]);
      await loop.subscribe('flood/+', { qos: 2 });
      for (let i = 0; i < 200; i++) {
        const qos = i % 2 === 0 ? 1 : 2;
        void flooder.publish('flood/0', 'shed if need be');
        await flooder.publish(`flood/${qos}`, `${i}`, { qos });
      }
      await done;
      expect(handled.size).toBe(200);
      await Promise.all([loop.shutdown({ drainTimeoutMs: 0 }), flooder.shutdown({ drainTimeoutMs: 0 })]);
    },
  );
});
