import { EventLoop } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

interface Handled {
  readonly payloads: string[];
  /** Settle the messages, in the order in which they came. */
  readonly finish: (() => void)[];
}

function handledByHand({ loop }: ScriptedLoop): Handled {
  const handled: Handled = { payloads: [], finish: [] };
  loop.onMessage(({ payload }) => {
    handled.payloads.push(payload.toString());
    return new Promise<void>((resolve) => handled.finish.push(resolve));
  });
  return handled;
}

/** A loop of MQTT 3.1.1 that has to read on because a publish waits for its answer, flooded with 6 messages. */
async function flooded(qos: 1 | 2): Promise<{ it: ScriptedLoop; connection: ScriptedConnection; handled: Handled }> {
  const it = scriptedLoop({
    protocolVersion: 4,
    clean: false,
    receiveMaximum: 2,
    reconnect: { minDelayMs: 10, jitter: 'none' },
  });
  const handled = handledByHand(it);
  const connection = await it.connect();
  void it.loop.publish('out', 'x', { qos: 1 }).catch(() => undefined);
  await connection.next('publish');
  for (let id = 1; id <= 6; id++) connection.publish({ topic: 'in', payload: `${id}`, qos, messageId: id });
  await it.clock.settle();
  return { it, connection, handled };
}

async function again({ broker, clock }: ScriptedLoop, sessionPresent: boolean): Promise<ScriptedConnection> {
  broker.connections.at(-1)!.cut();
  await clock.advance(2_000);
  const connection = await broker.acceptConnected({ sessionPresent });
  await connection.next('publish');
  return connection;
}

describe('MQTT 3.1.1, messages beyond receiveMaximum while reading cannot stop', () => {
  test('are read, held, and delivered one by one as earlier ones are done with', async () => {
    const { it, connection, handled } = await flooded(1);
    expect(it.loop.stats()).toMatchObject({ unsettled: 2, readingPaused: false });
    for (let id = 1; id <= 6; id++) {
      expect(handled.payloads).toHaveLength(Math.min(6, id + 1));
      handled.finish[id - 1]!();
      expect(await connection.next('puback')).toMatchObject({ messageId: id });
    }
    expect(handled.payloads).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(it.disconnected).toEqual([]);
  });

  test.each([1, 2] as const)('QoS %i, resumed session: the broker sends them again, each is handled', async (qos) => {
    const { it, handled } = await flooded(qos);
    const connection = await again(it, true);
    for (const finish of handled.finish.splice(0)) finish();
    const before = handled.payloads.splice(0);
    expect(before).toEqual(['1', '2']);
    for (let id = 1; id <= 6; id++) {
      connection.publish({ topic: 'in', payload: `${id}`, qos, messageId: id, dup: true });
    }
    for (let settled = 0; settled < 6; settled++) {
      await it.clock.settle();
      handled.finish[settled]?.();
    }
    for (let id = 1; id <= 6; id++) {
      expect(await connection.next(qos === 1 ? 'puback' : 'pubrec')).toMatchObject({ messageId: id });
    }
    // QoS 2: 1 and 2 were with a handler before, 3 to 6 never were.
    expect(handled.payloads).toEqual(qos === 1 ? ['1', '2', '3', '4', '5', '6'] : ['3', '4', '5', '6']);
  });

  test.each([1, 2] as const)('QoS %i, lost session: what was held is the last copy, and is handled', async (qos) => {
    const { it, handled } = await flooded(qos);
    await again(it, false);
    for (let settled = 0; settled < 6; settled++) {
      await it.clock.settle();
      handled.finish[settled]!();
    }
    expect(handled.payloads).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  test('beyond incomingCapacityBytes the connection ends: the broker keeps them', async () => {
    const it = scriptedLoop({ protocolVersion: 4, receiveMaximum: 2, incomingCapacityBytes: 10_000 });
    handledByHand(it);
    const connection = await it.connect();
    void it.loop.publish('out', 'x', { qos: 1 }).catch(() => undefined);
    await connection.next('publish');
    for (let id = 1; id <= 30; id++)
      connection.publish({ topic: 'in', payload: Buffer.alloc(500), qos: 1, messageId: id });
    await it.clock.settle();
    expect(it.disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECTION_LOST' } }]);
    expect(it.disconnected[0]!.cause.message).toContain('raise incomingCapacityBytes');
  });

  test('a handler that does not wait takes thousands in turn, not in depth', async () => {
    const it = scriptedLoop({ protocolVersion: 4, receiveMaximum: 1 });
    const waiting: (() => void)[] = [];
    let calls = 0;
    it.loop.onMessage(() => (calls++ === 0 ? new Promise<void>((resolve) => waiting.push(resolve)) : undefined));
    const connection = await it.connect();
    void it.loop.publish('out', 'x', { qos: 1 }).catch(() => undefined);
    await connection.next('publish');
    for (let id = 1; id <= 20_000; id++) connection.publish({ topic: 'in', qos: 1, messageId: id });
    await it.clock.settle();
    expect(calls).toBe(1);
    waiting[0]!();
    await it.clock.settle();
    expect(calls).toBe(20_000);
  });
});

test.each([4, 5] as const)(
  "MQTT %i, acknowledge 'on-receive': beyond incomingCapacity messages are acknowledged after their handlers",
  async (protocolVersion) => {
    const it = scriptedLoop({ protocolVersion, acknowledge: 'on-receive', incomingCapacity: 3, receiveMaximum: 2 });
    const handled = handledByHand(it);
    const connection = await it.connect();
    const acknowledged = (): number => connection.received.filter(({ cmd }) => cmd === 'puback').length;
    for (let id = 1; id <= 5; id++) {
      connection.publish({ topic: 'in', payload: `${id}`, qos: 1, messageId: id });
      await it.clock.settle();
    }
    expect(acknowledged()).toBe(3);
    expect(it.loop.stats().unsettled).toBeLessThanOrEqual(3 + 2);
    const open = watch(it.loop.publish('out', 'x', { qos: 1 }));
    await it.clock.settle();
    connection.puback(connection.received.find(({ cmd }) => cmd === 'publish') as { messageId: number });
    for (let settled = 0; settled < 5; settled++) {
      await it.clock.settle();
      handled.finish[settled]!();
    }
    await it.clock.settle();
    expect([open.state, acknowledged(), handled.payloads.length]).toEqual(['resolved', 5, 5]);
  },
);

describeWithMosquitto('a backlog of Mosquitto, which exceeds every window', () => {
  test.each([4, 5] as const)(
    'MQTT %i: handlers that publish and wait get through it, once each where the server cannot know better',
    { timeout: 120_000 },
    async (protocolVersion) => {
      await using broker = await Mosquitto.start();
      const subscriber = (): EventLoop =>
        new EventLoop({
          url: broker.url,
          protocolVersion,
          clientId: 'subscriber',
          clean: false,
          reconnect: { minDelayMs: 10, maxDelayMs: 20 },
        });
      const first = subscriber();
      await first.start();
      await first.subscribe('in', { qos: 1 });
      await first.shutdown();
      const flooder = new EventLoop({ url: broker.url });
      await flooder.start();
      await Promise.all(Array.from({ length: 3_000 }, (_, i) => flooder.publish('in', `${i}`.padEnd(100), { qos: 1 })));
      const loop = subscriber();
      const handled = new Set<string>();
      let calls = 0;
      const done = new Promise<void>((resolve) => {
        loop.onMessage(async ({ payload }) => {
          calls++;
          await loop.publish('out', payload, { qos: 1 });
          if (handled.add(payload.toString()).size === 3_000) resolve();
        });
      });
      await loop.start();
      await done;
      // MQTT 5: the server breaks our Receive Maximum once, and repeats what was at work then.
      expect(loop.stats().connections).toBeLessThanOrEqual(protocolVersion === 4 ? 1 : 2);
      expect(calls).toBeLessThanOrEqual(protocolVersion === 4 ? 3_000 : 3_300);
      await Promise.all([loop.shutdown({ drainTimeoutMs: 0 }), flooder.shutdown({ drainTimeoutMs: 0 })]);
    },
  );
});
