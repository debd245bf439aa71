import type { IncomingMessage } from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { KeyLanes, type LaneMember } from '../../../lib/settlement/key-lanes.js';
import { Held, runtimeWith } from './runtime-harness.js';

describe('ordering', () => {
  it('by topic: messages of a topic one after another, topics in parallel', async () => {
    const held = new Held();
    const at = await runtimeWith([{ options: { ordering: 'topic' }, handle: held.handle }]);
    await at.deliver(1, 'a1', { topic: 't/a' });
    await at.deliver(2, 'a2', { topic: 't/a' });
    await at.deliver(3, 'b1', { topic: 't/b' });
    expect(held.begun).toEqual(['a1', 'b1']);

    held.end('a1');
    await at.clock.settle();

    expect(held.begun).toEqual(['a1', 'b1', 'a2']);
    held.end('b1');
    held.end('a2');
    for (const messageId of [1, 2, 3]) expect(await at.connection.next('puback')).toMatchObject({ messageId });
  });

  it('by a key of the message', async () => {
    const held = new Held();
    const ordering = (message: IncomingMessage): string => message.payload.toString().slice(0, 1);
    const at = await runtimeWith([{ options: { ordering }, handle: held.handle }]);
    for (const [index, payload] of ['x1', 'y1', 'x2', 'z1', 'y2'].entries()) {
      await at.deliver(index + 1, payload, { topic: `t/${index}` });
    }

    expect(held.begun).toEqual(['x1', 'y1', 'z1']);
    held.end('y1');
    await at.clock.settle();
    expect(held.begun).toEqual(['x1', 'y1', 'z1', 'y2']);
    for (const payload of ['x1', 'z1', 'y2']) held.end(payload);
    await at.clock.settle();
    held.end('x2');
  });

  it('holds the key of a message that waits for a retry, and lets the others pass', async () => {
    const held = new Held();
    const at = await runtimeWith([
      { options: { ordering: 'topic', retry: { minDelayMs: 1_000, jitter: 'none' } }, handle: held.handle },
    ]);
    await at.deliver(1, 'a1', { topic: 't/a' });
    await at.deliver(2, 'a2', { topic: 't/a' });
    held.fail('a1');
    await at.clock.settle();
    await at.deliver(3, 'b1', { topic: 't/b' });
    expect(held.begun).toEqual(['a1', 'b1']);

    await at.clock.advance(1_000);
    expect(held.begun).toEqual(['a1', 'b1', 'a1']);
    held.end('a1');
    await at.clock.settle();

    expect(held.begun).toEqual(['a1', 'b1', 'a1', 'a2']);
    held.end('a2');
    held.end('b1');
  });

  it('holds the key until a dead letter has arrived', async () => {
    const held = new Held();
    const at = await runtimeWith([{ options: { ordering: 'topic', deadLetter: 'dead' }, handle: held.handle }]);
    await at.deliver(1, 'a1');
    await at.deliver(2, 'a2');
    held.fail('a1');
    const letter = await at.connection.next('publish');
    expect(held.begun).toEqual(['a1']);

    at.connection.puback(letter);
    await at.clock.settle();

    expect(held.begun).toEqual(['a1', 'a2']);
    held.end('a2');
  });

  it('is each handler’s own', async () => {
    const ordered = new Held();
    const free = new Held();
    const at = await runtimeWith([{ options: { ordering: 'topic' }, handle: ordered.handle }, { handle: free.handle }]);
    await at.deliver(1);
    await at.deliver(2);

    expect([ordered.begun, free.begun]).toEqual([[1], [1, 2]]);
    for (const held of [free, ordered]) held.end(1);
    await at.clock.settle();
    for (const held of [free, ordered]) held.end(2);
  });

  it.each([
    ['throws', () => JSON.parse('{') as string, /JSON/],
    ['returns no string', () => 7 as unknown as string, /key of ordering: 7; expected a string/],
  ])('fails a message whose key function %s, without retries, and goes on', async (_name, ordering, reason) => {
    const held = new Held();
    let isBroken = true;
    const at = await runtimeWith([
      { options: { ordering: () => (isBroken ? ordering() : 'k'), retry: {} }, handle: held.handle },
    ]);

    await at.deliver(1);
    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
    expect(held.begun).toEqual([]);
    expect(at.log[0]?.text).toMatch(reason);

    isBroken = false;
    await at.deliver(2);
    expect(held.begun).toEqual([2]);
    held.end(2);
    await at.connection.next('puback');
  });

  it('goes with limits: a message that waits for its key takes no place', async () => {
    const held = new Held();
    const at = await runtimeWith([{ options: { ordering: 'topic', concurrency: 2 }, handle: held.handle }]);
    await at.deliver(1, 'a1', { topic: 't/a' });
    await at.deliver(2, 'a2', { topic: 't/a' });
    await at.deliver(3, 'b1', { topic: 't/b' });
    await at.deliver(4, 'c1', { topic: 't/c' });
    expect(held.begun).toEqual(['a1', 'b1']);

    held.end('b1');
    await at.clock.settle();
    expect(held.begun).toEqual(['a1', 'b1', 'c1']);

    for (const payload of ['c1', 'a1']) held.end(payload);
    await at.clock.settle();
    held.end('a2');
  });
});

describe('the limit of the server', () => {
  it('holds for all handlers together', async () => {
    const first = new Held();
    const second = new Held();
    const at = await runtimeWith(
      [
        { pattern: 't/a', handle: first.handle },
        { pattern: 't/b', options: { concurrency: 1 }, handle: second.handle },
      ],
      { serverConcurrency: 2 },
    );
    await at.deliver(1, 'a1', { topic: 't/a' });
    await at.deliver(2, 'b1', { topic: 't/b' });
    await at.deliver(3, 'b2', { topic: 't/b' });
    await at.deliver(4, 'a2', { topic: 't/a' });
    expect([first.begun, second.begun]).toEqual([['a1'], ['b1']]);

    first.end('a1');
    await at.clock.settle();
    expect([first.begun, second.begun]).toEqual([['a1', 'a2'], ['b1']]);
    second.end('b1');
    await at.clock.settle();
    expect(second.begun).toEqual(['b1', 'b2']);

    first.end('a2');
    second.end('b2');
    await at.clock.settle();
    expect(at.runtime.stats().running).toBe(0);
  });
});

describe('lanes of keys', () => {
  it('hold only the keys that have members', () => {
    const lanes = new KeyLanes();
    const member = (): LaneMember => ({ lane: undefined, behind: undefined, proceed: () => undefined });
    const members = Array.from({ length: 1_000 }, member);

    members.forEach((each, index) => lanes.enter(each, `key ${index % 10}`));
    expect(lanes.size).toBe(10);
    for (const each of members) lanes.leave(each);

    expect(lanes.size).toBe(0);
  });
});
