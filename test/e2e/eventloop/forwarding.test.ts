import type { IncomingMessage } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { generate } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test('F1: acknowledging a message a second proves life: five PUBACKs, no ping among them, a ping 3 s after the last', async () => {
  const { loop, clock, connect } = scriptedLoop({ keepAliveSeconds: 3 });
  loop.onMessage(() => undefined);
  const connection = await connect();
  for (let id = 1; id <= 5; id++) {
    await clock.advance(1_000);
    connection.publish({ topic: 'in', qos: 1, messageId: id });
    expect(await connection.next('puback')).toMatchObject({ messageId: id });
  }
  await clock.advance(2_999);
  await connection.nothing(clock);
  await clock.advance(1);
  await connection.next('pingreq');
  connection.pingresp();
});

test('F2: a burst of 8 forwarded through a queue of 3 blocks nothing: every message is delivered and forwarded', async () => {
  const { loop, clock, connect } = scriptedLoop({ requestCapacity: 3, inflight: 1, keepAliveSeconds: 5 });
  let delivered = 0;
  loop.onMessage(async ({ payload }) => {
    delivered++;
    await loop.publish('out', payload, { qos: 1 });
  });
  const connection = await connect();
  burst(connection, 8, 0);
  await clock.settle();
  expect(delivered).toBe(8);
  expect(loop.stats()).toMatchObject({ inflight: 1, queued: 3, waiting: 4 });

  // The loop lives while all of its handlers wait.
  const first = await connection.next('publish');
  await clock.advance(5_000);
  await connection.next('pingreq');
  connection.pingresp();
  connection.puback(first);
  for (let i = 2; i <= 8; i++) {
    const publish = await connection.next('publish');
    expect(publish.payload.toString()).toBe(`${i}`);
    connection.puback(publish);
  }
  await clock.settle();
  expect(loop.stats()).toMatchObject({ unsettled: 0, publishesCompleted: 8, messagesDropped: 0 });
});

test('F2: the variant that never waits: 3 are accepted, 5 are not, and the loop lives', async () => {
  const { loop, clock, connect } = scriptedLoop({ requestCapacity: 3 });
  const accepted: boolean[] = [];
  loop.onMessage(({ payload }) => void accepted.push(loop.tryEnqueue('out', payload) !== undefined));
  const connection = await connect();
  burst(connection, 8, 0);
  await clock.settle();
  expect(accepted).toEqual([true, true, true, false, false, false, false, false]);
  for (let i = 1; i <= 3; i++) expect((await connection.next('publish')).payload.toString()).toBe(`${i}`);
  await connection.nothing(clock);
  expect(loop.tryEnqueue('out', 'again')).toBeDefined();
  await connection.next('publish');
});

test('F3: a burst of 12 acknowledged on receipt is acknowledged although the forwards wait', async () => {
  const { loop, clock, connect } = scriptedLoop({ acknowledge: 'on-receive', requestCapacity: 10, inflight: 1 });
  loop.onMessage(async ({ payload }) => {
    await loop.publish('out', payload, { qos: 1 });
  });
  const connection = await connect();
  burst(connection, 12, 1);
  for (let id = 1; id <= 12; id++) expect(await connection.next('puback')).toMatchObject({ messageId: id });
  await connection.next('publish');
  await connection.nothing(clock);
  expect(loop.stats()).toMatchObject({ inflight: 1, queued: 10, waiting: 1, unsettled: 12 });
});

test.each([4, 5] as const)(
  'F3: a burst of 12 acknowledged after the handler is acknowledged one by one as version %i forwards it',
  async (protocolVersion) => {
    const { loop, clock, connect } = scriptedLoop({
      protocolVersion,
      requestCapacity: 3,
      inflight: 1,
      receiveMaximum: 12,
    });
    loop.onMessage(async ({ payload }) => {
      await loop.publish('out', payload, { qos: 1 });
    });
    const connection = await connect();
    burst(connection, 12, 1);
    for (let id = 1; id <= 12; id++) {
      connection.puback(await connection.next('publish'));
      expect(await connection.next('puback')).toMatchObject({ messageId: id });
      if (id === 12) break;
    }
    await connection.nothing(clock);
  },
);

test.each([4, 5] as const)(
  'a handler that publishes and waits gets its PUBACK although 50 QoS 0 messages lie before it (version %i)',
  async (protocolVersion) => {
    const { loop, clock, connect } = scriptedLoop({
      protocolVersion,
      incomingCapacity: 3,
      incomingOverflow: 'backpressure',
    });
    const settled: string[] = [];
    loop.onMessage(async ({ payload }) => {
      await loop.publish('out', payload, { qos: 1 });
      settled.push(payload.toString());
    });
    const connection = await connect();
    burst(connection, 3, 0);
    const publishes = [
      await connection.next('publish'),
      await connection.next('publish'),
      await connection.next('publish'),
    ];
    burst(connection, 50, 0);
    for (const publish of publishes) connection.puback(publish);
    await clock.settle();
    expect(settled.slice(0, 3)).toEqual(['1', '2', '3']);
    expect(loop.stats()).toMatchObject({ readingPaused: false, messagesDropped: 50 });
  },
);

test('without anything to wait for, a full QoS 0 queue stops the reading, and a settled handler resumes it', async () => {
  const { loop, clock, connect } = scriptedLoop({ incomingCapacity: 2 });
  const waiting: (() => void)[] = [];
  const delivered: string[] = [];
  loop.onMessage((message: IncomingMessage) => {
    delivered.push(message.payload.toString());
    return new Promise<void>((resolve) => waiting.push(resolve));
  });
  const connection = await connect();
  burst(connection, 5, 0);
  await clock.settle();
  expect(delivered).toEqual(['1', '2']);
  expect(loop.stats()).toMatchObject({ readingPaused: true, unsettled: 2, messagesDropped: 0 });
  for (let i = 3; i <= 5; i++) {
    waiting.shift()!();
    await clock.settle();
    expect(delivered.at(-1)).toBe(`${i}`);
  }
  for (const settle of waiting) settle();
  await clock.settle();
  expect(loop.stats()).toMatchObject({ readingPaused: false, unsettled: 0 });
});

/** Payloads 1 to count, ids too where the QoS has them, in one chunk. */
function burst(connection: ScriptedConnection, count: number, qos: 0 | 1): void {
  const { protocolVersion } = connection;
  const packets = Array.from({ length: count }, (_, index) =>
    generate(
      {
        cmd: 'publish',
        topic: 'in',
        payload: `${index + 1}`,
        qos,
        dup: false,
        retain: false,
        ...(qos > 0 ? { messageId: index + 1 } : {}),
      },
      { protocolVersion },
    ),
  );
  connection.send(Buffer.concat(packets));
}
