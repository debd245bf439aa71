import type { EventLoop, EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { expect, vi } from 'vitest';
import { Inbox } from '../../fixtures/connected.js';
import type { Visit } from '../visit.js';
import type { Feature } from './feature.js';
import { expectClosesFor } from './messages.js';

const MESSAGES = 20;

/** What two members of a group receive: at least so many, and all that came before a later message outside of the group. */
async function dealt(visit: Visit, name: string, options: EventLoopOptions, atLeast: number): Promise<string[][]> {
  const members = [await visit.connect(options), await visit.connect(options)];
  const inboxes = members.map((member) => new Inbox(member));
  const end = visit.topic(`${name}/end`);
  for (const member of members) {
    const filter = `$share/${visit.prefix}/${visit.topic(`${name}/work/+`)}`;
    const { granted } = await member.subscribe({ [filter]: { qos: 1 }, [end]: { qos: 1 } });
    expect([...granted.values()]).toEqual([1, 1]);
  }
  const publisher = await visit.connect(options);
  for (let i = 0; i < MESSAGES; i++) await publisher.publish(visit.topic(`${name}/work/${i}`), `${i}`, { qos: 1 });
  const texts = (): string[][] => inboxes.map(({ messages }) => messages.map(({ payload }) => payload.toString()));
  await vi.waitFor(() => expect(texts().flat().length).toBeGreaterThanOrEqual(atLeast), { timeout: 30_000 });
  await publisher.publish(end, 'end', { qos: 1 });
  await vi.waitFor(() => expect(texts().map((of) => of.includes('end'))).toEqual([true, true]), { timeout: 30_000 });
  return texts().map((of) => of.filter((text) => text !== 'end'));
}

export const filters = {
  wildcards: {
    row: 'Wildcards, empty levels, unsubscribing',
    cells: { yes: 'as specified' },
    async assertStated(visit) {
      const loop = await visit.connect();
      const received = await visit.subscribed(loop, 'a/+');
      await loop.subscribe({ [visit.topic('b/#')]: { qos: 1 }, [visit.topic('end')]: { qos: 1 } });
      const topics = ['a', 'a/1', 'a/1/2', 'a/', 'b', 'b/1', 'b//2', 'c'];
      for (const topic of topics) await loop.publish(visit.topic(topic), 'x', { qos: 1 });
      // All that is to come before the unsubscribe has come: it must not be what keeps a message away.
      await received.until(5);
      await loop.unsubscribe([visit.topic('a/+'), visit.topic('b/#')]);
      for (const topic of ['a/1', 'b/1', 'end']) await loop.publish(visit.topic(topic), 'late', { qos: 1 });
      const texts = visit.texts(await received.until(6));
      expect(texts.toSorted()).toEqual(['a/ x', 'a/1 x', 'b x', 'b/1 x', 'b//2 x', 'end late'].toSorted());
    },
  },

  dots: {
    row: 'Topics with a dot',
    cells: {
      yes: 'as any other',
      refused: 'refuses the subscription, closes the connection on a publish; the same for spaces',
      slash: 'a dot counts, and arrives, as a slash',
    },
    async assertStated(visit, stated) {
      const loop = await visit.connect();
      if (stated === 'refused') {
        for (const topic of ['v1.2/x', 'a b/x']) {
          const subscribed = loop.subscribe(visit.topic(topic), { qos: 1 });
          await expect(subscribed).rejects.toMatchObject({ code: 'MQTT_SUBSCRIBE_REFUSED' });
          await expectClosesFor(visit, topic, 1);
        }
        return;
      }
      const received = await visit.subscribed(loop, '#');
      await loop.publish(visit.topic('v1.2/x'), '', { qos: 1 });
      await loop.publish(visit.topic('a b'), '', { qos: 1 });
      const dotted = stated === 'yes' ? 'v1.2/x ' : 'v1/2/x ';
      expect(visit.texts(await received.until(2))).toEqual([dotted, 'a b ']);
    },
  },

  dollar: {
    row: 'What `#` receives',
    cells: {
      hidden: 'no topic that begins with `$`',
      shown: "the broker's own `$MQTT/…` messages too",
    },
    async assertStated(visit, stated) {
      const loop = await visit.connect();
      const received = new Inbox(loop);
      await loop.subscribe('#', { qos: 0 });
      const ofBroker = (): boolean => received.messages.some(({ topic }) => topic.startsWith('$'));
      // A session is what the broker would tell itself of.
      await visit.connect({ clientId: 'kept', clean: false });
      await loop.publish(visit.topic('marker'), '', { qos: 1 });
      await vi.waitFor(() => expect(received.messages.map(({ topic }) => topic)).toContain(visit.topic('marker')));
      if (stated === 'shown') await vi.waitFor(() => expect(ofBroker()).toBe(true), { timeout: 30_000 });
      else expect(ofBroker()).toBe(false);
    },
  },

  overlap: {
    row: 'Filters of one client that overlap',
    cells: { each: 'a copy for each', eachOnFive: 'a copy for each on MQTT 5, one on 3.1.1', one: 'one copy' },
    async assertStated(visit, stated) {
      const expectCopies = async (loop: EventLoop, topic: string, count: number): Promise<void> => {
        const received = await visit.subscribed(loop, `${topic}/+`);
        const [rest, exact] = [visit.topic(`${topic}/#`), visit.topic(`${topic}/1`)];
        await loop.subscribe({ [rest]: { qos: 1 }, [exact]: { qos: 1 } });
        await loop.publish(exact, 'x', { qos: 1 });
        const copies = Array.from({ length: count }, () => `${topic}/1 x`);
        expect(visit.texts(await received.until(count))).toEqual(copies);
        await loop.publish(visit.topic(topic), 'end', { qos: 1 });
        expect(visit.texts(await received.until(count + 1))).toEqual([...copies, `${topic} end`]);
      };
      await expectCopies(await visit.connect(), 'auto', stated === 'one' ? 1 : 3);
      if (stated === 'eachOnFive') await expectCopies(await visit.connect({ protocolVersion: 4 }), 'four', 1);
    },
  },

  shared: {
    row: 'Shared subscriptions',
    cells: {
      yes: 'each message to one member, on 3.1.1 too',
      silent: 'none: `$share/…` is granted as a plain filter and receives nothing',
    },
    async assertStated(visit, stated) {
      const versions = stated === 'yes' ? ([4, 5] as const) : [visit.broker.protocolVersion];
      for (const protocolVersion of versions) {
        const work = await dealt(visit, `${protocolVersion}`, { protocolVersion }, stated === 'yes' ? MESSAGES : 0);
        if (stated === 'yes') {
          expect(work.flat().toSorted()).toEqual(Array.from({ length: MESSAGES }, (_, index) => `${index}`).toSorted());
          expect(work.map((share) => share.length > 0)).toEqual([true, true]);
        } else expect(work).toEqual([[], []]);
      }
    },
  },
} satisfies Record<string, Feature>;
