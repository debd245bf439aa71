import type { EventLoopOptions, IncomingMessage } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../../fixtures/scripted-loop.js';

const SESSION = { clean: false, reconnect: { minDelayMs: 1_000, jitter: 'none' } } satisfies EventLoopOptions;

describe.each([4, 5] as const)('QoS 2 from a server of version %i', (protocolVersion) => {
  test('a duplicate before PUBREL is acknowledged again and never delivered again; after PUBREL the id is new', async () => {
    const { connection, delivered, it } = await listening(protocolVersion);
    for (const dup of [false, true, true]) {
      connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5, dup });
      expect(await connection.next('pubrec')).toMatchObject({ messageId: 5 });
    }
    expect(delivered).toEqual(['one']);
    connection.pubrel(5);
    expect(await connection.next('pubcomp')).toMatchObject({ messageId: 5 });
    connection.publish({ topic: 'in', payload: 'two', qos: 2, messageId: 5 });
    await connection.next('pubrec');
    expect(delivered).toEqual(['one', 'two']);
    expect(it.loop.stats()).toMatchObject({ duplicatesSuppressed: 2, messagesReceived: 4 });
  });

  test('a duplicate while the handler runs is not delivered, and one PUBREC answers both when it is done', async () => {
    const { connection, finish, it, delivered } = await listening(protocolVersion, { waits: true });
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5 });
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5, dup: true });
    await connection.nothing(it.clock);
    expect(delivered).toEqual(['one']);
    finish();
    await connection.next('pubrec');
    await connection.nothing(it.clock);
    connection.pubrel(5);
    await connection.next('pubcomp');
  });

  test('across a resume the duplicate is recognised, whether its PUBREC was lost or not', async () => {
    const { connection, it, delivered } = await listening(protocolVersion);
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5 });
    await connection.next('pubrec');
    const second = await connectAgain(it, connection, true);
    second.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5, dup: true });
    await second.next('pubrec');
    second.pubrel(5);
    await second.next('pubcomp');
    expect(delivered).toEqual(['one']);
  });

  test('across a resume PUBREL alone completes it', async () => {
    const { connection, it } = await listening(protocolVersion);
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5 });
    await connection.next('pubrec');
    const second = await connectAgain(it, connection, true);
    second.pubrel(5);
    expect((await second.next('pubcomp')).reasonCode ?? 0).toBe(0);
    expect(it.loop.stats().unknownAcknowledgements).toBe(0);
  });

  test('a handler that outlives its connection acknowledges the redelivery, which is not delivered again', async () => {
    const { connection, finish, it, delivered } = await listening(protocolVersion, { waits: true });
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5 });
    await connection.nothing(it.clock);
    const second = await connectAgain(it, connection, true);
    second.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5, dup: true });
    await second.nothing(it.clock);
    finish();
    expect(await second.next('pubrec')).toMatchObject({ messageId: 5 });
    second.pubrel(5);
    await second.next('pubcomp');
    expect(delivered).toEqual(['one']);
  });

  test('a handler that has finished between two connections answers the redelivery at once', async () => {
    const { connection, finish, it, delivered } = await listening(protocolVersion, { waits: true });
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5 });
    await connection.nothing(it.clock);
    connection.cut();
    await it.clock.settle();
    finish();
    await it.clock.advance(1_000);
    const second = await it.broker.acceptConnected({ sessionPresent: true });
    await second.nothing(it.clock);
    second.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5, dup: true });
    await second.next('pubrec');
    expect(delivered).toEqual(['one']);
  });

  test('[MQTT-3.2.2-5] a lost session forgets its ids: the same id is a new message', async () => {
    const { connection, it, delivered } = await listening(protocolVersion);
    connection.publish({ topic: 'in', payload: 'one', qos: 2, messageId: 5 });
    await connection.next('pubrec');
    const second = await connectAgain(it, connection, false);
    second.publish({ topic: 'in', payload: 'other', qos: 2, messageId: 5 });
    await second.next('pubrec');
    expect(delivered).toEqual(['one', 'other']);
  });

  test('a PUBREL for an id nobody knows is answered, and counted', async () => {
    const { connection, it } = await listening(protocolVersion);
    connection.pubrel(4_321);
    const pubcomp = await connection.next('pubcomp');
    expect(pubcomp.messageId).toBe(4_321);
    expect(pubcomp.reasonCode ?? 0).toBe(protocolVersion === 5 ? 0x92 : 0);
    expect(it.loop.stats()).toMatchObject({ unknownAcknowledgements: 1, connected: true });
  });

  test('after PUBACK an equal QoS 1 id is a new message, whatever DUP says [MQTT-4.3.2-5]', async () => {
    const { connection, delivered } = await listening(protocolVersion);
    for (const dup of [false, true]) {
      connection.publish({ topic: 'in', payload: 'one', qos: 1, messageId: 5, dup });
      await connection.next('puback');
    }
    expect(delivered).toEqual(['one', 'one']);
  });

  test('a QoS 1 message that was not acknowledged is delivered again on the next connection', async () => {
    const { connection, finish, it, delivered } = await listening(protocolVersion, { waits: true });
    connection.publish({ topic: 'in', payload: 'one', qos: 1, messageId: 5 });
    await connection.nothing(it.clock);
    const second = await connectAgain(it, connection, true);
    second.publish({ topic: 'in', payload: 'one', qos: 1, messageId: 5, dup: true });
    await second.nothing(it.clock);
    expect(delivered).toEqual(['one', 'one']);
    finish();
    expect(await second.next('puback')).toMatchObject({ messageId: 5 });
    await second.nothing(it.clock);
  });
});

test('MQTT 5: a QoS 2 message that the handler refused frees its id at once [MQTT-4.3.3-9]', async () => {
  const it = scriptedLoop(SESSION);
  const outcomes = [new Error('first'), undefined];
  let calls = 0;
  it.loop.onMessage(() => {
    const outcome = outcomes[calls++];
    if (outcome !== undefined) throw outcome;
  });
  const connection = await it.connect();
  connection.publish({ topic: 'in', qos: 2, messageId: 5 });
  expect(await connection.next('pubrec')).toMatchObject({ reasonCode: 0x80 });
  connection.publish({ topic: 'in', qos: 2, messageId: 5 });
  expect((await connection.next('pubrec')).reasonCode ?? 0).toBe(0);
  expect(calls).toBe(2);
});

describe.each([4, 5] as const)('a message that its handler leaves to a server of version %i', (protocolVersion) => {
  test.each([1, 2] as const)(
    'is not acknowledged, and is delivered again on the next connection (QoS %i)',
    async (qos) => {
      const it = scriptedLoop({ ...SESSION, protocolVersion });
      const outcomes: boolean[] = [];
      it.loop.onMessage((message) => {
        if (outcomes.length < 2) outcomes.push(message.leave(), message.leave(), message.acknowledge());
      });
      const connection = await it.connect();
      connection.publish({ topic: 'in', qos, messageId: 5 });
      connection.publish({ topic: 'in', qos, messageId: 6 });
      await connection.nothing(it.clock);
      expect(outcomes).toEqual([true, false, false]);

      const second = await connectAgain(it, connection, true);
      for (const messageId of [5, 6]) {
        second.publish({ topic: 'in', qos, messageId, dup: true });
        expect(await second.next(qos === 1 ? 'puback' : 'pubrec')).toMatchObject({ messageId });
      }
      expect(it.loop.stats()).toMatchObject({ handlerFailures: 0, unsettled: 0 });
    },
  );

  test('between two connections is delivered again on the second, and its failure is reported (QoS 2)', async () => {
    const it = scriptedLoop({ ...SESSION, protocolVersion });
    const failures: unknown[] = [];
    it.loop.on('handler-failed', ({ error }) => failures.push(error));
    const fails: (() => void)[] = [];
    it.loop.onMessage(async (message) => {
      if (fails.length > 0) return;
      await new Promise<void>((resolve) => fails.push(resolve));
      message.leave();
      throw new Error('left');
    });
    const connection = await it.connect();
    connection.publish({ topic: 'in', qos: 2, messageId: 5 });
    await connection.nothing(it.clock);
    connection.cut();
    await it.clock.settle();
    fails[0]!();
    await it.clock.advance(1_000);
    expect(failures).toEqual([new Error('left')]);

    const second = await it.broker.acceptConnected({ sessionPresent: true });
    second.publish({ topic: 'in', qos: 2, messageId: 5, dup: true });
    expect((await second.next('pubrec')).reasonCode ?? 0).toBe(0);
  });
});

interface Listening {
  readonly it: ScriptedLoop;
  readonly connection: ScriptedConnection;
  readonly delivered: string[];
  /** Ends all handlers that wait. */
  readonly finish: () => void;
}

async function listening(protocolVersion: 4 | 5, { waits = false } = {}): Promise<Listening> {
  const it = scriptedLoop({ ...SESSION, protocolVersion });
  const delivered: string[] = [];
  const waiting: (() => void)[] = [];
  it.loop.onMessage(({ payload }: IncomingMessage) => {
    delivered.push(payload.toString());
    return waits ? new Promise<void>((resolve) => waiting.push(resolve)) : undefined;
  });
  const connection = await it.connect();
  return { it, connection, delivered, finish: () => waiting.splice(0).forEach((settle) => settle()) };
}

async function connectAgain(
  { broker, clock }: ScriptedLoop,
  lost: ScriptedConnection,
  sessionPresent: boolean,
): Promise<ScriptedConnection> {
  lost.cut();
  await clock.advance(1_000);
  return broker.acceptConnected({ sessionPresent });
}
