import { expect } from 'vitest';
import { Inbox, nextFailure } from '../../fixtures/connected.js';
import type { Visit } from '../visit.js';
import type { Feature } from './feature.js';

/** Long enough for an answer from a broker that gives one; the test waits it out where none comes. */
const NO_ANSWER_MS = 3_000;

/** The broker takes the connection for this publish, and again for each resend; without it the loop works again. */
async function expectClosesFor(visit: Visit, topic: string, qos: 1 | 2): Promise<void> {
  const loop = await visit.connect();
  const failure = nextFailure(loop);
  const published = loop.publish(visit.topic(topic), 'x', { qos, timeoutMs: NO_ANSWER_MS });
  await expect(published).rejects.toMatchObject({ code: 'MQTT_TIMEOUT' });
  expect(await failure).toMatchObject({ code: 'MQTT_CONNECTION_LOST' });
  await expect(loop.publish(visit.topic('fine'), 'x', { qos: 1 })).resolves.toBeDefined();
}

export const messages = {
  version: {
    row: 'MQTT version',
    cells: {
      five: '5 and 3.1.1',
      refusesFive: '3.1.1; refuses 5 properly, so `auto` falls back',
      closesOnFive: '3.1.1; closes the connection on 5 without a word, `auto` falls back',
    },
    async assertStated(visit, stated) {
      const asked = visit.connect({ protocolVersion: 5, reconnect: { policy: 'never' } });
      const auto = (): Promise<number | undefined> =>
        visit.connect({ protocolVersion: 'auto' }).then((loop) => loop.negotiated?.protocolVersion);
      if (stated === 'five') {
        expect((await asked).negotiated?.protocolVersion).toBe(5);
        expect(await auto()).toBe(5);
      } else if (stated === 'refusesFive') {
        await expect(asked).rejects.toMatchObject({ code: 'MQTT_CONNECTION_REFUSED', reasonCode: 0x84 });
        expect(await auto()).toBe(4);
      } else {
        await expect(asked).rejects.toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
        expect(await auto()).toBe(4);
      }
      expect((await visit.connect({ protocolVersion: 4 })).negotiated?.protocolVersion).toBe(4);
    },
  },

  subscribeQos: {
    row: 'QoS of subscriptions',
    cells: { two: '0, 1 and 2', one: '0 and 1; who asks for 2 is granted 1' },
    async assertStated(visit, stated) {
      const loop = await visit.connect();
      const received = new Inbox(loop);
      const to = (qos: number): string => visit.topic(`to/${qos}`);
      const { granted } = await loop.subscribe({ [to(0)]: { qos: 0 }, [to(1)]: { qos: 1 }, [to(2)]: { qos: 2 } });
      const most = stated === 'two' ? 2 : 1;
      expect([...granted]).toEqual([0, 1, 2].map((qos) => [to(qos), Math.min(qos, most)]));
      const sent = ([0, 1, 2] as const).slice(0, most + 1);
      const expected = [0, 1, 2].flatMap((asked) =>
        sent.map((qos) => `to/${asked} ${qos} ${Math.min(asked, qos, most)}`),
      );
      for (const asked of [0, 1, 2]) for (const qos of sent) await loop.publish(to(asked), `${qos}`, { qos });
      const arrived = await received.until(expected.length);
      const qosOf = arrived.map(({ qos }) => qos);
      // Not in one order: a broker may keep one line for each filter.
      expect(
        visit
          .texts(arrived)
          .map((text, index) => `${text} ${qosOf[index]}`)
          .toSorted(),
      ).toEqual(expected.toSorted());
    },
  },

  publishQos2: {
    row: 'Publishing at QoS 2',
    cells: {
      once: 'delivered once',
      closes: 'closes the connection, again at every resend: use QoS 1',
      puback: 'answered as QoS 1, so it never completes: use QoS 1',
    },
    async assertStated(visit, stated) {
      if (stated === 'closes') return expectClosesFor(visit, 'once', 2);
      const loop = await visit.connect();
      const received = await visit.subscribed(loop, 'once', 2);
      const published = loop.publish(visit.topic('once'), 'x', { qos: 2, timeoutMs: NO_ANSWER_MS });
      if (stated === 'once') {
        expect(await published).toEqual({ qos: 2, reasonCode: 0 });
      } else {
        await expect(published).rejects.toMatchObject({ code: 'MQTT_TIMEOUT' });
        expect(loop.stats().unknownAcknowledgements).toBe(1);
      }
      await loop.publish(visit.topic('once'), 'end', { qos: 1 });
      expect(visit.texts(await received.until(2))).toEqual(['once x', 'once end']);
    },
  },

  retained: {
    row: 'Retained messages',
    cells: { yes: 'kept, sent to new subscribers, cleared by an empty one' },
    async assertStated(visit) {
      const loop = await visit.connect();
      await loop.publish(visit.topic('kept'), 'state', { qos: 1, retain: true });
      const late = await visit.subscribed(await visit.connect(), 'kept');
      expect((await late.until(1))[0]).toMatchObject({ retain: true, payload: Buffer.from('state') });
      await loop.publish(visit.topic('kept'), '', { qos: 1, retain: true });
      const later = await visit.connect();
      const nothing = await visit.subscribed(later, 'kept');
      await later.publish(visit.topic('kept'), 'marker', { qos: 1 });
      expect(visit.texts(await nothing.until(1))).toEqual(['kept marker']);
    },
  },

  retainedWildcards: {
    row: 'Retained messages for a filter with wildcards',
    cells: { yes: 'sent', no: 'not sent' },
    async assertStated(visit, stated) {
      const loop = await visit.connect();
      await loop.publish(visit.topic('kept/1'), 'state', { qos: 1, retain: true });
      const late = await visit.connect();
      const received = await visit.subscribed(late, 'kept/#');
      if (stated === 'yes') await received.until(1);
      await late.publish(visit.topic('kept/2'), 'marker', { qos: 1 });
      const expected = stated === 'yes' ? ['kept/1 state', 'kept/2 marker'] : ['kept/2 marker'];
      expect(visit.texts(await received.until(expected.length))).toEqual(expected);
    },
  },

  bytes: {
    row: 'Payloads',
    cells: { yes: 'any bytes, none, and 256 KiB' },
    async assertStated(visit) {
      const loop = await visit.connect();
      const received = await visit.subscribed(loop, 'bytes');
      const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      // All that `maxPacketBytes` allows, less a header and a topic.
      const large = Buffer.alloc(256 * 1_024 - 100, everyByte);
      const payloads = [everyByte, Buffer.alloc(0), large];
      for (const payload of payloads) await loop.publish(visit.topic('bytes'), payload, { qos: 1 });
      const arrived = await received.until(3);
      expect(arrived.map(({ payload }, index) => payload.equals(payloads[index]!))).toEqual([true, true, true]);
    },
  },

  order: {
    row: 'Order of one publisher',
    cells: { yes: 'kept' },
    async assertStated(visit) {
      const loop = await visit.connect();
      const received = await visit.subscribed(loop, 'line');
      const numbers = Array.from({ length: 200 }, (_, index) => `line ${index}`);
      const published = numbers.map((_, index) => loop.publish(visit.topic('line'), `${index}`, { qos: 1 }));
      await Promise.all(published);
      expect(visit.texts(await received.until(200))).toEqual(numbers);
    },
  },
} satisfies Record<string, Feature>;

export { expectClosesFor };
