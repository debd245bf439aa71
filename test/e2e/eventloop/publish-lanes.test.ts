import type { Delivery, EventLoop } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test('F4: with a window of 1 and a queue of 1 the first is sent, the second admitted, the third waits for PUBACK 1', async () => {
  const { loop, clock, connect } = scriptedLoop({ inflight: 1, requestCapacity: 1 });
  const connection = await connect();
  await loop.enqueue('a', '1', { qos: 1 });
  const first = await connection.next('publish');
  await loop.enqueue('a', '2', { qos: 1 });
  const third = settledLater(loop.enqueue('a', '3', { qos: 1 }));
  await clock.advance(100);
  expect(third.settled).toBe(false);
  await connection.nothing(clock);
  expect(loop.stats()).toMatchObject({ inflight: 1, queued: 1, waiting: 1 });

  connection.puback(first);
  expect(await connection.next('publish')).toMatchObject({ payload: Buffer.from('2'), messageId: 2 });
  await clock.settle();
  expect(third.settled).toBe(true);
  expect(loop.stats()).toMatchObject({ inflight: 1, queued: 1, waiting: 0 });
});

test.each([
  ['F5', 'SUBSCRIBE', (loop: EventLoop) => loop.subscribe('other/#', { qos: 1 })],
  ['F6', 'UNSUBSCRIBE', (loop: EventLoop) => loop.unsubscribe('other/#')],
])('%s: while the window of 1 is full, %s goes out at once with an id of its own', async (_name, packet, request) => {
  const { loop, clock, connect } = scriptedLoop({ inflight: 1 });
  const connection = await connect();
  const published = [loop.publish('a', '1', { qos: 1 }), loop.publish('a', '2', { qos: 1 })];
  const first = await connection.next('publish');
  const requested = request(loop);
  const control = await connection.next(packet.toLowerCase() as 'subscribe' | 'unsubscribe');
  expect(control.messageId).not.toBe(first.messageId);
  if (control.cmd === 'subscribe') connection.suback(control);
  else connection.unsuback(control);
  await requested;
  await connection.nothing(clock);
  connection.puback(first);
  const second = await connection.next('publish');
  expect([first.messageId, control.messageId]).not.toContain(second.messageId);
  connection.puback(second);
  await Promise.all(published);
});

test('F7: in a window of 4 whose last two are acknowledged first, the fifth publish takes id 5 and does not wait for 1', async () => {
  const { loop, connect } = scriptedLoop({ inflight: 4 });
  const connection = await connect();
  publishAll(loop, 6);
  for (let id = 1; id <= 4; id++) await connection.next('publish');
  connection.puback(3);
  expect(await connection.next('publish')).toMatchObject({ messageId: 5, payload: Buffer.from('5') });
  connection.puback(4);
  expect(await connection.next('publish')).toMatchObject({ messageId: 6, payload: Buffer.from('6') });
});

test('F8: a window of 4 that is never acknowledged keeps the link: pings go on, nothing else does', async () => {
  const { loop, broker, clock, connect, disconnected } = scriptedLoop({ inflight: 4, keepAliveSeconds: 1 });
  const connection = await connect();
  connection.autoPing = true;
  publishAll(loop, 6);
  await clock.advance(5_000);
  const names = connection.received.map(({ cmd }) => cmd);
  expect(names.filter((name) => name === 'publish')).toHaveLength(4);
  expect(names.filter((name) => name === 'pingreq').length).toBeGreaterThanOrEqual(4);
  expect(disconnected).toEqual([]);
  expect(broker.connections).toHaveLength(1);
  expect(loop.stats()).toMatchObject({ inflight: 4, queued: 2 });
});

test('a QoS 0 publish at the head of the queue does not wait for the window, one behind a QoS 1 publish does', async () => {
  const { loop, clock, connect } = scriptedLoop({ inflight: 1 });
  const connection = await connect();
  const rest = [loop.publish('a', '1', { qos: 1 })];
  const first = await connection.next('publish');
  await loop.publish('a', 'free');
  expect(await connection.next('publish')).toMatchObject({ payload: Buffer.from('free'), qos: 0 });
  rest.push(loop.publish('a', '2', { qos: 1 }), loop.publish('a', 'behind'));
  await connection.nothing(clock);
  connection.puback(first);
  const second = await connection.next('publish');
  expect(second).toMatchObject({ payload: Buffer.from('2') });
  expect(await connection.next('publish')).toMatchObject({ payload: Buffer.from('behind') });
  connection.puback(second);
  await Promise.all(rest);
});

test('acknowledgements and PUBREL overtake queued publishes and do not wait for the window', async () => {
  const { loop, connect } = scriptedLoop({ inflight: 1, throttle: 1 });
  loop.onMessage(() => undefined);
  const connection = await connect();
  publishAll(loop, 3, 2);
  const first = await connection.next('publish');
  connection.publish({ topic: 'in', qos: 1, messageId: 9 });
  connection.pubrec(first);
  expect(await connection.next('puback')).toMatchObject({ messageId: 9 });
  expect(await connection.next('pubrel')).toMatchObject({ messageId: first.messageId });
});

test('[MQTT-2.2.1-3] [MQTT-4.3.2-1] [MQTT-4.3.3-1] ids stay unique among publishes and subscribes while acknowledgements come back out of order', async () => {
  const { loop, connect } = scriptedLoop({ inflight: 3 });
  const connection = await connect();
  publishAll(loop, 40);
  const open = [await connection.next('publish'), await connection.next('publish'), await connection.next('publish')];
  for (let i = 4; i <= 40; i++) {
    connection.puback(open.splice((i * 7) % open.length, 1)[0]!);
    open.push(await connection.next('publish'));
    if (i % 10 !== 0) continue;
    const subscribed = loop.subscribe(`s/${i}`);
    connection.suback(await connection.next('subscribe'));
    await subscribed;
  }
  // The broker itself refuses an id in use: it has seen no violation.
  expect(open).toHaveLength(3);
});

function publishAll(loop: EventLoop, count: number, qos: 1 | 2 = 1): void {
  for (let i = 1; i <= count; i++) loop.publish('a', `${i}`, { qos }).catch(() => {});
}

function settledLater(promise: Promise<Delivery>): { settled: boolean } {
  const state = { settled: false };
  void promise.then((delivery) => {
    delivery.completed.catch(() => {});
    state.settled = true;
  });
  return state;
}
