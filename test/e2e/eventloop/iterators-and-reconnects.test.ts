import type { IncomingMessage } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

function send(connection: ScriptedConnection, qos: 1 | 2, dup = false): void {
  for (let id = 1; id <= 3; id++) connection.publish({ topic: 'in', payload: `${id}`, qos, messageId: id, dup });
}

/** Three messages have come; the first one is with the application, two wait to be asked for. Then the connection is lost. */
async function lost(protocolVersion: 4 | 5, qos: 1 | 2, sessionPresent: boolean) {
  const { loop, broker, clock, connect } = scriptedLoop({
    protocolVersion,
    clean: false,
    sessionExpirySeconds: 3_600,
    reconnect: { minDelayMs: 1, jitter: 'none' },
  });
  const messages = loop.messages();
  const first = await connect();
  send(first, qos);
  await clock.settle();
  const next = async (): Promise<IncomingMessage> => (await messages.next()).value;
  expect((await next()).payload.toString()).toBe('1');
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected({ sessionPresent });
  await clock.settle();
  return { loop, clock, next, second };
}

describe.each([4, 5] as const)(
  'protocol version %i: messages that wait to be asked for when the connection is lost',
  (version) => {
    test('come once when the server sends them again at QoS 1, and are acknowledged on the new connection', async () => {
      const { loop, clock, next, second } = await lost(version, 1, true);
      send(second, 1, true);
      await clock.settle();
      for (const payload of ['1', '2', '3'])
        expect(await next()).toMatchObject({ dup: true, payload: Buffer.from(payload) });
      void next();
      for (const messageId of [1, 2, 3]) expect(await second.next('puback')).toMatchObject({ messageId });
      await clock.settle();
      expect(loop.stats()).toMatchObject({ unsettled: 0, handlerFailures: 0 });
    });

    test('come once at QoS 2', async () => {
      const { loop, clock, next, second } = await lost(version, 2, true);
      send(second, 2, true);
      await clock.settle();
      for (const payload of ['2', '3']) expect((await next()).payload.toString()).toBe(payload);
      void next();
      for (const messageId of [1, 2, 3]) expect(await second.next('pubrec')).toMatchObject({ messageId });
      for (const messageId of [1, 2, 3]) second.pubrel({ messageId });
      await clock.settle();
      expect(loop.stats()).toMatchObject({ unsettled: 0, duplicatesSuppressed: 3 });
    });

    test('stay when the server has lost the session and with it the messages', async () => {
      const { loop, clock, next } = await lost(version, 1, false);
      for (const payload of ['2', '3']) expect((await next()).payload.toString()).toBe(payload);
      void next();
      await clock.settle();
      expect(loop.stats()).toMatchObject({ unsettled: 0 });
    });
  },
);
