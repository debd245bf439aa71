import type { EventLoop, IncomingMessage, MessageDroppedEvent } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

interface Handled {
  readonly topics: string[];
  /** Settles the messages in the order in which they came. */
  readonly done: (() => void)[];
}

/** A handler whose messages are settled by the test. */
function handledByHand(loop: EventLoop): Handled {
  const handled: Handled = { topics: [], done: [] };
  loop.onMessage((message) => {
    handled.topics.push(message.topic);
    return new Promise<void>((resolve) => handled.done.push(resolve));
  });
  return handled;
}

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('S7: nobody reads, 11 messages of QoS 1 come: the connection stays, their acknowledgements are withheld', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({
      protocolVersion,
      receiveMaximum: 10,
      keepAliveSeconds: 60,
    });
    const connection = await connect();
    connection.autoPing = true;
    // An MQTT 5 server knows our Receive Maximum; an MQTT 3.1.1 server has to be stopped by the socket.
    const count = protocolVersion === 5 ? 10 : 11;
    for (let messageId = 1; messageId <= count; messageId++) {
      await clock.advance(100);
      connection.publish({ topic: `in/${messageId}`, qos: 1, messageId });
    }
    await clock.advance(600_000);
    expect(disconnected).toEqual([]);
    expect(connection.open).toBe(true);
    await connection.nothing();
    expect(loop.stats()).toMatchObject({ unsettled: 10, readingPaused: protocolVersion === 4 });

    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    for (let messageId = 1; messageId <= count; messageId++) {
      expect((await connection.next('puback')).messageId).toBe(messageId);
    }
    expect(topics).toEqual(Array.from({ length: count }, (_, i) => `in/${i + 1}`));
    expect(loop.stats().readingPaused).toBe(false);
  });

  test('S7: nobody reads QoS 0: reading pauses at the capacity, nothing is dropped, and goes on with the first reader', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, incomingCapacity: 10 });
    const connection = await connect();
    connection.autoPing = true;
    for (let i = 1; i <= 100; i++) {
      connection.publish({ topic: `in/${i}` });
      await clock.advance(10);
    }
    expect(loop.stats()).toMatchObject({ unsettled: 10, messagesReceived: 10, readingPaused: true });
    expect(connection.backlogBytes).toBeGreaterThan(0);
    await clock.advance(600_000);
    expect(disconnected).toEqual([]);

    const topics: string[] = [];
    loop.onMessage(({ topic }) => void topics.push(topic));
    await clock.settle();
    await clock.settle();
    expect(topics).toEqual(Array.from({ length: 100 }, (_, i) => `in/${i + 1}`));
    expect(loop.stats()).toMatchObject({ messagesDropped: 0, readingPaused: false });
    expect(connection.backlogBytes).toBe(0);
  });

  test('S7: a slow reader gets every message, one after the other', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, incomingCapacity: 3 });
    const connection = await connect();
    connection.autoPing = true;
    const topics: string[] = [];
    loop.onMessage(async ({ topic }) => {
      topics.push(topic);
      await new Promise<void>((resolve) => clock.startTimer(resolve, 5_000));
    });
    for (let i = 1; i <= 30; i++) connection.publish({ topic: `in/${i}` });
    await clock.advance(60_000);
    expect(topics).toEqual(Array.from({ length: 30 }, (_, i) => `in/${i + 1}`));
    expect(loop.stats().messagesDropped).toBe(0);
  });

  test('the capacity in bytes pauses reading too', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, incomingCapacityBytes: 10_000 });
    const connection = await connect();
    const handled = handledByHand(loop);
    for (let i = 1; i <= 20; i++) connection.publish({ topic: `in/${i}`, payload: Buffer.alloc(1_000) });
    await clock.settle();
    expect(handled.topics).toHaveLength(10);
    expect(loop.stats()).toMatchObject({ unsettledBytes: 10_000, readingPaused: true });
    handled.done[0]!();
    await clock.settle();
    expect(handled.topics).toHaveLength(11);
  });

  test('while reading is paused pings go out, and silence is not held against the broker', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({
      protocolVersion,
      incomingCapacity: 1,
      keepAliveSeconds: 5,
    });
    const connection = await connect();
    connection.autoPing = true;
    handledByHand(loop);
    for (let i = 1; i <= 5; i++) connection.publish({ topic: `in/${i}` });
    await clock.advance(60_000);
    expect(disconnected).toEqual([]);
    expect(loop.stats().readingPaused).toBe(true);
    // A broker that hears nothing for 1.5 keep alive intervals would close.
    expect(connection.received.filter(({ cmd }) => cmd === 'pingreq').length).toBeGreaterThanOrEqual(8);
  });

  test('a handler that publishes and waits cannot deadlock: while its acknowledgement is due QoS 0 is shed, and told', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, incomingCapacity: 2 });
    const dropped: MessageDroppedEvent[] = [];
    loop.on('message-dropped', (event) => dropped.push(event));
    const connection = await connect();
    const finished: string[] = [];
    loop.onMessage(async ({ topic }) => {
      await loop.publish('out', topic, { qos: 1 });
      finished.push(topic);
    });
    for (let i = 1; i <= 5; i++) connection.publish({ topic: `in/${i}` });
    await clock.settle();
    const publishes = [await connection.next('publish'), await connection.next('publish')];
    // They lie behind the messages that nobody can take.
    for (const publish of publishes) connection.puback(publish);
    await clock.settle();
    expect(finished).toEqual(['in/1', 'in/2']);
    expect(loop.stats()).toMatchObject({ unsettled: 0, messagesDropped: 3, readingPaused: false });
    expect(dropped).toEqual(
      [3, 4, 5].map((i) => ({ direction: 'incoming', topic: `in/${i}`, qos: 0, reason: 'incoming-overflow' })),
    );
  });

  test('the same with a subscribe that the handler waits for', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, incomingCapacity: 1 });
    const connection = await connect();
    let finished = 0;
    loop.onMessage(async () => {
      await loop.subscribe('more');
      finished++;
    });
    for (let i = 1; i <= 3; i++) connection.publish({ topic: `in/${i}` });
    connection.suback(await connection.next('subscribe'));
    await clock.settle();
    expect(finished).toBe(1);
  });

  test('the same with a QoS 0 publish that the broker does not read, because it waits for us to read', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, incomingCapacity: 1, keepAliveSeconds: 0 });
    const connection = await connect();
    await clock.settle();
    connection.freeze();
    let finished = 0;
    loop.onMessage(async () => {
      await loop.publish('out', 'x');
      finished++;
    });
    for (let i = 1; i <= 3; i++) connection.publish({ topic: `in/${i}` });
    // A write that takes a moment is none that is stuck: nothing is shed for it.
    await clock.advance(999);
    expect(loop.stats()).toMatchObject({ messagesDropped: 0, readingPaused: true });
    await clock.advance(1);
    expect(loop.stats()).toMatchObject({ messagesDropped: 2, readingPaused: false });
    // This broker reads again when what it has written is taken.
    expect(connection.backlogBytes).toBe(0);
    connection.thaw();
    await clock.settle();
    expect(finished).toBe(1);

    // And what comes then is not shed.
    for (let i = 4; i <= 6; i++) connection.publish({ topic: `in/${i}` });
    await clock.settle();
    expect(finished).toBe(4);
  });

  test('QoS 1 and 2 are never shed while an acknowledgement is due', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({
      protocolVersion,
      receiveMaximum: 4,
      incomingCapacity: 4,
    });
    const connection = await connect();
    const open = watch(loop.publish('out', 'x', { qos: 1 }));
    const publish = await connection.next('publish');
    const handled = handledByHand(loop);
    // MQTT 3.1.1 cannot tell the broker to stop: four more are taken than may be unacknowledged, and wait for their turn.
    const count = protocolVersion === 5 ? 4 : 8;
    for (let messageId = 1; messageId <= count; messageId++) {
      connection.publish({ topic: `in/${messageId}`, qos: messageId % 2 === 0 ? 2 : 1, messageId });
    }
    connection.puback(publish);
    await clock.settle();
    expect(open.state).toBe('resolved');
    expect(handled.topics).toHaveLength(4);
    expect(disconnected).toEqual([]);
    for (let next = 0; next < count; next++) {
      handled.done[next]!();
      await clock.settle();
    }
    expect(handled.topics).toEqual(Array.from({ length: count }, (_, index) => `in/${index + 1}`));
    expect(loop.stats().messagesDropped).toBe(0);
    expect(connection.received.filter(({ cmd }) => cmd === 'puback' || cmd === 'pubrec')).toHaveLength(count);
  });

  test('acknowledgements leave in order of receipt, whatever the order in which handlers finish', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    const handled = handledByHand(loop);
    for (let messageId = 1; messageId <= 3; messageId++) connection.publish({ topic: 'in', qos: 1, messageId });
    await clock.settle();
    handled.done[2]!();
    handled.done[1]!();
    await connection.nothing(clock);
    handled.done[0]!();
    for (let messageId = 1; messageId <= 3; messageId++)
      expect((await connection.next('puback')).messageId).toBe(messageId);
  });

  test('a handler that blocks never holds up the reading of acknowledgements', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    handledByHand(loop);
    connection.publish({ topic: 'in', qos: 1, messageId: 1 });
    await clock.settle();
    const results = [1, 2].map((qos) => watch(loop.publish('out', 'x', { qos: qos as 1 | 2 })));
    connection.puback(await connection.next('publish'));
    connection.pubrec(await connection.next('publish'));
    connection.pubcomp(await connection.next('pubrel'));
    await clock.settle();
    expect(results.map(({ state }) => state)).toEqual(['resolved', 'resolved']);
  });

  test("incomingOverflow 'drop-newest' reads on and sheds QoS 0", async () => {
    const { loop, clock, connect } = scriptedLoop({
      protocolVersion,
      incomingCapacity: 2,
      incomingOverflow: 'drop-newest',
    });
    const connection = await connect();
    const handled = handledByHand(loop);
    for (let i = 1; i <= 5; i++) connection.publish({ topic: `in/${i}` });
    connection.publish({ topic: 'in/6', qos: 1, messageId: 1 });
    await clock.settle();
    expect(handled.topics).toEqual(['in/1', 'in/2', 'in/6']);
    expect(loop.stats()).toMatchObject({ messagesDropped: 3, readingPaused: false });
  });

  test('messages() pulls at its own pace, and pushes back the same way', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, receiveMaximum: 3, incomingCapacity: 3 });
    const connection = await connect();
    const messages = loop.messages();
    for (let messageId = 1; messageId <= 3; messageId++) connection.publish({ topic: 'in', qos: 1, messageId });
    for (let i = 1; i <= 10; i++) connection.publish({ topic: 'fast' });
    await clock.settle();
    const topics: string[] = [];
    for (let i = 1; i <= 13; i++) {
      const { value } = (await messages.next()) as IteratorResult<IncomingMessage, undefined>;
      topics.push(value!.topic);
      await clock.settle();
      expect(loop.stats().unsettled).toBeLessThanOrEqual(6);
    }
    expect(topics).toEqual([...Array(3).fill('in'), ...Array(10).fill('fast')]);
    expect(connection.received.filter(({ cmd }) => cmd === 'puback')).toHaveLength(3);
  });
});

test('MQTT 5 announces receiveMaximum, and a broker that exceeds it is told so', async () => {
  const { loop, connect, disconnected, clock } = scriptedLoop({ clean: false, receiveMaximum: 2 });
  const connection = await connect();
  handledByHand(loop);
  expect(connection.connectPacket?.properties?.receiveMaximum).toBe(2);
  for (let messageId = 1; messageId <= 3; messageId++) connection.publish({ topic: 'in', qos: 1, messageId });
  expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x93 });
  await clock.settle();
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_PROTOCOL_ERROR', reasonCode: 0x93 } }]);
});
