import { describe, expect, it } from 'vitest';
import { MqttRefusedError } from '../../../lib/eventloop/errors.js';
import type { SubscribeResult } from '../../../lib/eventloop/messages.js';
import type { MqttReplyMode } from '../../../lib/interfaces/module-options.interface.js';
import { ReplyRoutes } from '../../../lib/requests/reply-routes.js';

/** Stands in for the event loop: notes what is asked of it, and answers as it is told. */
function setup(mode: MqttReplyMode, { refuse = [], has = [] }: { refuse?: string[]; has?: string[] } = {}) {
  const asked: string[] = [];
  const loop = {
    async subscribe(filter: unknown): Promise<SubscribeResult> {
      asked.push(`+${String(filter)}`);
      if (refuse.includes(String(filter)))
        throw new MqttRefusedError('subscribe', String(filter), 0x87, 'not authorized');
      return { granted: new Map() };
    },
    async unsubscribe(filters: unknown): Promise<void> {
      asked.push(`-${String(filters)}`);
    },
  };
  return { asked, routes: new ReplyRoutes(loop, 'inbox', mode, (topic) => has.includes(topic)) };
}

describe('where replies are expected', () => {
  it('is the inbox alone in private mode, subscribed to once', async () => {
    const { routes, asked } = setup('private');

    await routes.enter('a');
    expect(routes.enter('b')).toBeUndefined();

    expect(asked).toEqual(['+inbox']);
    expect(routes.isReplyTopic('a/reply')).toBe(false);
  });

  it('is the reply topic alone in builtin mode, subscribed to for good', async () => {
    const { routes, asked } = setup('builtin');

    await routes.enter('a');
    routes.learn('a', 'builtin');
    routes.leave('a', false);
    expect(routes.enter('a')).toBeUndefined();

    expect(asked).toEqual(['+a/reply']);
    expect(routes.isReplyTopic('a/reply')).toBe(true);
  });

  it('is both at first in auto mode, and the inbox once a reply has come there', async () => {
    const { routes, asked } = setup('auto');
    await routes.enter('a');
    expect(routes.isReplyTopic('a/reply')).toBe(true);

    routes.learn('a', 'private');
    routes.leave('a', false);

    expect(routes.enter('a')).toBeUndefined();
    expect(asked).toEqual(['+a/reply', '+inbox', '-a/reply']);
    expect(routes.isReplyTopic('a/reply')).toBe(false);
  });

  it('stays the reply topic in auto mode once a reply has come there', async () => {
    const { routes, asked } = setup('auto');
    await routes.enter('a');
    routes.learn('a', 'builtin');
    routes.leave('a', false);

    expect(routes.enter('a')).toBeUndefined();
    expect(asked).toEqual(['+a/reply', '+inbox']);
  });

  it('is asked again after a timeout: the responder may be another one', async () => {
    const { routes, asked } = setup('auto');
    await routes.enter('a');
    routes.learn('a', 'private');
    routes.leave('a', true);

    await routes.enter('a');

    expect(asked).toEqual(['+a/reply', '+inbox', '-a/reply', '+a/reply']);
  });

  it('needs no subscription where messages come in anyway', async () => {
    const { routes, asked } = setup('auto', { has: ['a/reply'] });
    await routes.enter('a');
    routes.learn('a', 'private');

    expect(asked).toEqual(['+inbox']);
  });

  it('is subscribed to again when the handlers are gone whose subscription brought the replies', async () => {
    const has = ['a/reply'];
    const { routes, asked } = setup('builtin', { has });
    await routes.enter('a');
    has.pop();

    await routes.enter('a');

    expect(asked).toEqual(['+a/reply']);
  });

  it('is what the broker allows', async () => {
    const { routes } = setup('auto', { refuse: ['inbox'] });

    await expect(routes.enter('a')).resolves.toBeUndefined();
    expect(routes.isInboxRefused).toBe(true);
  });

  it('is nowhere when the broker allows neither, and the refusal says so', async () => {
    const { routes } = setup('auto', { refuse: ['inbox', 'a/reply'] });

    await expect(routes.enter('a')).rejects.toMatchObject({ code: 'MQTT_SUBSCRIBE_REFUSED', target: 'inbox' });
  });

  it('is remembered for a bounded number of topics, and those in use are kept', async () => {
    const { routes, asked } = setup('builtin');
    await routes.enter('in use');
    for (let i = 0; i < 2_000; i++) {
      await routes.enter(`t/${i}`);
      routes.leave(`t/${i}`, false);
    }

    expect(
      asked.filter((entry) => entry.startsWith('+')).length - asked.filter((entry) => entry.startsWith('-')).length,
    ).toBe(1_000);
    expect(asked).not.toContain('-in use/reply');
    expect(routes.isReplyTopic('in use/reply')).toBe(true);
    expect(routes.isReplyTopic('t/0/reply')).toBe(false);
  });
});
