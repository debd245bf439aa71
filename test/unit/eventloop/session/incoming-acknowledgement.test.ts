import { runInNewContext } from 'node:vm';
import { MqttArgumentError, type HandlerFailedEvent, type IncomingMessage } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

const versions = [4, 5] as const;

test.each(versions)(
  '[MQTT-4.6.0-2] [MQTT-4.6.0-3] acknowledgements leave in order of receipt although handlers finish in reverse (version %i)',
  async (protocolVersion) => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion });
    const waiting: (() => void)[] = [];
    loop.onMessage(() => new Promise<void>((resolve) => waiting.push(resolve)));
    const connection = await connect();
    for (let id = 1; id <= 6; id++) connection.publish({ topic: 'in', qos: id % 2 === 0 ? 2 : 1, messageId: id });
    await clock.settle();
    for (const finish of waiting.splice(1).toReversed()) {
      finish();
      await connection.nothing(clock);
    }
    waiting[0]!();
    for (let id = 1; id <= 6; id++) {
      expect(await connection.next(id % 2 === 0 ? 'pubrec' : 'puback')).toMatchObject({ messageId: id });
    }
  },
);

test.each(versions)('an acknowledgement never crosses a connection (version %i)', async (protocolVersion) => {
  const { loop, broker, clock, connect } = scriptedLoop({
    protocolVersion,
    clean: false,
    acknowledge: 'manual',
    reconnect: { minDelayMs: 1_000, jitter: 'none' },
  });
  const messages: IncomingMessage[] = [];
  loop.onMessage((message) => void messages.push(message));
  const first = await connect();
  first.publish({ topic: 'in', payload: 'old', qos: 1, messageId: 7 });
  await first.nothing(clock);
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true });
  expect(messages[0]!.acknowledge()).toBe(false);
  await second.nothing(clock);

  second.publish({ topic: 'in', payload: 'new', qos: 1, messageId: 7 });
  await second.nothing(clock);
  expect(messages[0]!.acknowledge()).toBe(false);
  await second.nothing(clock);
  expect(messages[1]!.acknowledge()).toBe(true);
  expect(await second.next('puback')).toMatchObject({ messageId: 7 });
});

test('acknowledgements that were ready and not written die with their connection', async () => {
  const { loop, broker, clock, connect } = scriptedLoop({
    clean: false,
    reconnect: { minDelayMs: 1_000, jitter: 'none' },
  });
  loop.onMessage(() => undefined);
  const first = await connect();
  first.freeze();
  loop.publish('out', 'x'.repeat(10_000)).catch(() => {});
  await clock.settle();
  first.publish({ topic: 'in', qos: 1, messageId: 1 });
  await clock.settle();
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent: true });
  await second.nothing(clock);
  expect(second.received.map(({ cmd }) => cmd)).toEqual(['connect']);
});

describe('acknowledge: on-receive', () => {
  test('acknowledges before the handler is done, and nothing that it does changes that', async () => {
    const { loop, clock, connect } = scriptedLoop({ acknowledge: 'on-receive' });
    const returned: boolean[] = [];
    loop.onMessage(async (message) => {
      returned.push(message.acknowledge());
      await Promise.reject(new Error('too late'));
    });
    const connection = await connect();
    connection.publish({ topic: 'in', qos: 1, messageId: 1 });
    connection.publish({ topic: 'in', qos: 2, messageId: 2 });
    expect((await connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect((await connection.next('pubrec')).reasonCode ?? 0).toBe(0);
    await connection.nothing(clock);
    expect(returned).toEqual([false, false]);
    expect(loop.stats().handlerFailures).toBe(2);
  });
});

describe('acknowledge: after-handler', () => {
  test.each([
    ['returns', () => 'anything'],
    ['resolves', async () => 'anything'],
    ["returns another realm's promise", () => runInNewContext('Promise.resolve()') as unknown],
  ])('acknowledges when the handler %s', async (_how, handler) => {
    const { loop, connect } = scriptedLoop();
    loop.onMessage(handler);
    const connection = await connect();
    connection.publish({ topic: 'in', qos: 1, messageId: 1 });
    expect(await connection.next('puback')).toMatchObject({ messageId: 1 });
  });

  test('a handler may acknowledge early and by itself; the first call counts', async () => {
    const { loop, connect } = scriptedLoop();
    const returned: boolean[] = [];
    loop.onMessage(async (message) => {
      returned.push(message.acknowledge(0x10), message.acknowledge(0x87));
      await new Promise(() => {});
    });
    const connection = await connect();
    connection.publish({ topic: 'in', qos: 1, messageId: 1 });
    expect(await connection.next('puback')).toMatchObject({ reasonCode: 0x10 });
    expect(returned).toEqual([true, false]);
  });
});

describe('acknowledge: manual', () => {
  test('acknowledges when told to, later and from anywhere, and still in order of receipt', async () => {
    const { loop, clock, connect } = scriptedLoop({ acknowledge: 'manual' });
    const messages: IncomingMessage[] = [];
    loop.onMessage((message) => void messages.push(message));
    const connection = await connect();
    for (let id = 1; id <= 3; id++) connection.publish({ topic: 'in', qos: 1, messageId: id });
    await connection.nothing(clock);
    messages[2]!.acknowledge();
    messages[1]!.acknowledge();
    await connection.nothing(clock);
    messages[0]!.acknowledge();
    for (let id = 1; id <= 3; id++) expect(await connection.next('puback')).toMatchObject({ messageId: id });
  });

  test('MQTT 3.1.1: the reading that stopped at the bound goes on when a message is acknowledged', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion: 4, acknowledge: 'manual', receiveMaximum: 2 });
    const messages: IncomingMessage[] = [];
    loop.onMessage((message) => void messages.push(message));
    const connection = await connect();
    for (let id = 1; id <= 4; id++) connection.publish({ topic: 'in', qos: 1, messageId: id });
    await clock.settle();
    expect(messages).toHaveLength(2);
    expect(loop.stats().readingPaused).toBe(true);
    for (let id = 1; id <= 4; id++) {
      messages[id - 1]!.acknowledge();
      expect(await connection.next('puback')).toMatchObject({ messageId: id });
      await clock.settle();
    }
    expect(loop.stats().readingPaused).toBe(false);
  });

  test.each(versions)(
    '[MQTT-3.4.2-1] [MQTT-3.5.2-1] refuses a reason code that is none of PUBACK (version %i)',
    async (protocolVersion) => {
      const { loop, clock, connect } = scriptedLoop({ protocolVersion, acknowledge: 'manual' });
      const messages: IncomingMessage[] = [];
      loop.onMessage((message) => void messages.push(message));
      const connection = await connect();
      connection.publish({ topic: 'in', qos: 1, messageId: 1 });
      await clock.settle();
      for (const code of [1, 0x92, -1, 256, Number.NaN, '0' as never]) {
        expect(() => messages[0]!.acknowledge(code)).toThrow(MqttArgumentError);
      }
      await connection.nothing(clock);
      expect(messages[0]!.acknowledge(0x87)).toBe(true);
      expect((await connection.next('puback')).reasonCode ?? 0).toBe(protocolVersion === 5 ? 0x87 : 0);
    },
  );
});

describe.each(versions)('a failing handler (version %i)', (protocolVersion) => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('that %s refuses its message, is counted and told, and holds up nobody', async (_how, handler) => {
    for (const acknowledge of ['after-handler', 'manual'] as const) {
      const { loop, connect } = scriptedLoop({ protocolVersion, acknowledge });
      const failed: HandlerFailedEvent[] = [];
      loop.on('handler-failed', (event) => failed.push(event));
      loop.onMessage((message) => (message.topic === 'bad' ? handler() : void message.acknowledge()));
      const connection = await connect();
      await expectRefusals(connection, protocolVersion);
      expect(failed).toMatchObject([
        { topic: 'bad', qos: 0, error: { message: 'no' } },
        { topic: 'bad', qos: 1, error: { message: 'no' } },
        { topic: 'bad', qos: 2, error: { message: 'no' } },
      ]);
      expect(loop.stats()).toMatchObject({ handlerFailures: 3, unsettled: 0, connected: true });
    }
  });
});

async function expectRefusals(connection: ScriptedConnection, version: 4 | 5): Promise<void> {
  connection.publish({ topic: 'bad', qos: 0 });
  connection.publish({ topic: 'bad', qos: 1, messageId: 1 });
  connection.publish({ topic: 'bad', qos: 2, messageId: 2 });
  connection.publish({ topic: 'good', qos: 1, messageId: 3 });
  const refused = version === 5 ? 0x80 : 0;
  for (const [packet, id, reason] of [
    ['puback', 1, refused],
    ['pubrec', 2, refused],
    ['puback', 3, 0],
  ] as const) {
    const answer = await connection.next(packet);
    expect([answer.messageId, answer.reasonCode ?? 0]).toEqual([id, reason]);
  }
}
