import type { EventLoop, EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { expect } from 'vitest';
import { Inbox, nextConnection, nextFailure } from '../../fixtures/connected.js';
import { Nats } from '../../fixtures/nats.js';
import { nextSession } from '../visit.js';
import type { Feature } from './feature.js';

/** Soon, but late enough for an acknowledgement from a slow machine. */
export const ACK_WAIT_SECONDS = 3;
const X_THRICE = ['work x', 'work x', 'work x'];

export const sessions = {
  session: {
    row: 'Messages for a session whose client is away',
    cells: { qos1: 'kept at QoS 1', qos0and1: 'kept at QoS 1, and at QoS 0 too' },
    async assertStated(visit, stated) {
      const proxy = await visit.proxy();
      const keeper = await visit.connect({ url: proxy.url, clientId: 'keeper', clean: false });
      const received = await visit.subscribed(keeper, 'off/+');
      await proxy.down();
      const publisher = await visit.connect();
      for (const qos of [0, 1] as const) await publisher.publish(visit.topic(`off/${qos}`), 'x', { qos });
      const resumed = nextSession(keeper);
      await proxy.up();
      expect(await resumed).toMatchObject({ sessionPresent: true });
      const kept = stated === 'qos1' ? ['off/1 x'] : ['off/0 x', 'off/1 x'];
      expect(visit.texts(await received.until(kept.length))).toEqual(kept);
      await publisher.publish(visit.topic('off/end'), 'x', { qos: 1 });
      expect(visit.texts(await received.until(kept.length + 1))).toEqual([...kept, 'off/end x']);
    },
  },

  will: {
    row: 'Will',
    cells: { yes: 'published when the link breaks, not after a DISCONNECT' },
    async assertStated(visit) {
      const proxy = await visit.proxy();
      const watcher = await visit.connect();
      const received = await visit.subscribed(watcher, '#');
      const withWill = (name: string): Promise<EventLoop> =>
        visit.connect({ url: proxy.url, will: { topic: visit.topic(name), payload: 'gone', qos: 1 } });
      await withWill('cut');
      proxy.cut();
      expect(visit.texts(await received.until(1))).toEqual(['cut gone']);
      await (await withWill('shutdown')).shutdown();
      await (await withWill('demand')).shutdown({ publishWill: true });
      await received.until(2);
      await watcher.publish(visit.topic('marker'), 'x', { qos: 1 });
      expect(visit.texts(await received.until(3))).toEqual(['cut gone', 'demand gone', 'marker x']);
    },
  },

  takeover: {
    row: 'A second connection with the same client identifier',
    cells: { yes: 'ends the first' },
    async assertStated(visit) {
      const first = await visit.connect({ clientId: 'same', reconnect: { policy: 'never' } });
      const lost = nextFailure(first);
      await visit.connect({ clientId: 'same' });
      expect((await lost).code).toMatch(/^MQTT_(CONNECTION_LOST|SERVER_DISCONNECT)/);
    },
  },

  window: {
    row: 'Unacknowledged messages on their way to one client',
    cells: {
      receiveMaximum: 'its Receive Maximum; on 3.1.1 20 (`max_inflight_messages`)',
      unlimited: 'no limit',
      thousand: '1 024 (`max_ack_pending`)',
      ten: '10 (`mqtt.prefetch`)',
    },
    async assertStated(visit, stated) {
      const expectAtMost = async (limit: number, options: EventLoopOptions, topic: string): Promise<void> => {
        const slow = await visit.connect({ acknowledge: 'manual', ...options });
        const held = await visit.subscribed(slow, topic);
        const witness = await visit.connect({ receiveMaximum: 65_535 });
        const seen = await visit.subscribed(witness, topic);
        const count = limit === Infinity ? 150 : limit + 50;
        await Promise.all(Array.from({ length: count }, () => witness.publish(visit.topic(topic), 'x', { qos: 1 })));
        await seen.until(count);
        await held.until(Math.min(limit, count));
        // The answer to this comes behind whatever else the broker has sent.
        await slow.publish(visit.topic('other'), 'x', { qos: 1 });
        expect(held.messages).toHaveLength(Math.min(limit, count));
      };
      if (stated === 'receiveMaximum') {
        await expectAtMost(30, { protocolVersion: 5, receiveMaximum: 30 }, 'five');
        await expectAtMost(20, { protocolVersion: 4, receiveMaximum: 65_535 }, 'four');
      } else {
        const limits: Record<string, number> = { unlimited: Infinity, thousand: 1_024, ten: 10 };
        await expectAtMost(limits[stated]!, { receiveMaximum: 65_535 }, 'work');
      }
    },
  },

  redelivery: {
    row: 'A message that was not acknowledged comes again',
    cells: {
      reconnect: 'on the next connection',
      ackWait: '`ack_wait` (30 s) after it was sent, on the same connection too: set it above the slowest handler',
    },
    async assertStated(visit, stated) {
      await using impatient = stated === 'ackWait' ? await Nats.start({ ackWaitSeconds: ACK_WAIT_SECONDS }) : undefined;
      const proxy = await visit.proxy(impatient);
      const loop = await visit.connect({ url: proxy.url, clientId: 'c', clean: false, acknowledge: 'manual' });
      const received = await visit.subscribed(loop, 'work');
      await loop.publish(visit.topic('work'), 'x', { qos: 1 });
      await received.until(1);
      const resumed = nextSession(loop);
      proxy.cut();
      expect(await resumed).toMatchObject({ sessionPresent: true });
      if (stated === 'ackWait') {
        // Left alone once more: nobody takes the link away this time.
        const [, copy] = await received.until(2);
        expect(copy).toMatchObject({ dup: true, payload: Buffer.from('x') });
        await received.until(3);
        expect(loop.stats()).toMatchObject({ connections: 2, protocolErrors: 0 });
      } else await received.until(2);
      expect(received.messages.at(-1)!.acknowledge()).toBe(true);
      // The acknowledgement has left before this.
      await loop.publish(visit.topic('other'), 'x', { qos: 1 });
      const back = nextConnection(loop);
      proxy.cut();
      await back;
      await loop.publish(visit.topic('work'), 'end', { qos: 1 });
      const texts = visit.texts(await visit.until(received, 'work end'));
      expect(texts).toEqual(stated === 'ackWait' ? [...X_THRICE, 'work end'] : ['work x', 'work x', 'work end']);
    },
  },

  crash: {
    row: 'Killed (SIGKILL) and started again, we reconnect',
    cells: {
      lost: 'sessions and retained messages lost; subscriptions are made again',
      kept: 'sessions, queued and retained messages kept',
      retainedLost: 'sessions and queued messages kept, retained ones of the last 2 s lost',
    },
    async assertStated(visit, stated) {
      const subscriber = await visit.connect({ clientId: 'subscriber', clean: false });
      const received = await visit.subscribed(subscriber, '#');
      const sleeper = await visit.connect({ clientId: 'sleeper', clean: false });
      const slept = await visit.subscribed(sleeper, '#');
      await sleeper.pause();
      const publisher = await visit.connect();
      await publisher.publish(visit.topic('kept'), 'x', { qos: 1, retain: true });
      await received.until(1);
      const back = nextSession(subscriber);
      await visit.running.crash();
      expect(await back).toMatchObject({ sessionPresent: stated !== 'lost' });
      // Behind the subscribe that the loop makes by itself.
      await subscriber.publish(visit.topic('after'), 'x', { qos: 1 });
      await visit.until(received, 'after x');
      await expect(publisher.publish(visit.topic('then'), 'x', { qos: 1 })).resolves.toBeDefined();
      // An acknowledgement may die with the broker: the message comes again.
      const distinct = new Set(visit.texts(await visit.until(received, 'then x')));
      expect([...distinct]).toEqual(['kept x', 'after x', 'then x']);

      const resumed = nextSession(sleeper);
      await sleeper.resume();
      expect(await resumed).toMatchObject({ sessionPresent: stated !== 'lost' });
      await sleeper.publish(visit.topic('end'), 'x', { qos: 1 });
      const queued = stated === 'lost' ? ['end x'] : ['kept x', 'after x', 'then x', 'end x'];
      expect(visit.texts(await visit.until(slept, 'end x'))).toEqual(queued);

      const late = await visit.connect();
      const stored = new Inbox(late);
      await late.subscribe(visit.topic('kept'), { qos: 1 });
      if (stated === 'kept') await stored.until(1);
      await late.publish(visit.topic('kept'), 'marker', { qos: 1 });
      const expected = stated === 'kept' ? ['kept x', 'kept marker'] : ['kept marker'];
      expect(visit.texts(await stored.until(expected.length))).toEqual(expected);
    },
  },
} satisfies Record<string, Feature>;
