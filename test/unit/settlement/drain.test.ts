import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { Held, runtimeWith } from './runtime-harness.js';

describe('a shutdown', () => {
  it('runs the retries that come within its deadline', async () => {
    const runs: number[] = [];
    const at = await runtimeWith([
      {
        options: { retry: { minDelayMs: 500, jitter: 'none' } },
        handle: (_data, context) => {
          runs.push(context.getAttempt());
          if (context.getAttempt() === 1) throw new Error('not yet');
        },
      },
    ]);
    await at.deliver(1);
    at.pause();
    let isClosed = false;
    const closing = at.runtime.close(undefined).then(() => (isClosed = true));
    await at.clock.advance(499);
    expect(isClosed).toBe(false);

    await at.clock.advance(1);
    await closing;

    await at.connection.next('puback');
    expect(runs).toEqual([1, 2]);
    expect(at.log).toEqual([]);
  });

  it('tells how many failures were left out of the log, and leaves no timer for it', async () => {
    const at = await runtimeWith([
      {
        handle: () => {
          throw new Error('broken');
        },
      },
    ]);
    const timers = at.clock.pendingTimers;
    for (let id = 1; id <= 12; id++) await at.deliver(id);
    at.pause();

    await at.runtime.close(undefined);

    expect(at.log).toHaveLength(11);
    expect(at.log.at(-1)).toEqual({ level: 'warn', text: 'not logged: 2 more about t/#' });
    expect(at.clock.pendingTimers).toBe(timers);
  });

  it('leaves what would wait longer at once, and what waits behind it, and tells how many', async () => {
    const held = new Held();
    const at = await runtimeWith([
      { options: { ordering: 'topic', retry: { minDelayMs: 5_000, jitter: 'none' } }, handle: held.handle },
    ]);
    for (const id of [1, 2, 3]) await at.deliver(id);
    await at.deliver(4, 'free', { topic: 't/b' });
    await at.deliver(0, 'lost', { qos: 0, messageId: undefined });
    held.fail(1);
    held.end('free');
    await at.clock.settle();

    at.pause();
    await at.runtime.close(undefined);

    await at.connection.nothing(at.clock);
    expect(held.begun).toEqual([1, 'free']);
    expect(at.runtime.stats()).toMatchObject({ running: 0, left: 3, lost: 1, waitingRetries: 0, failed: 0 });
    expect(at.loop.stats()).toMatchObject({ unsettled: 0, handlerFailures: 0 });
    expect(at.log).toEqual([
      {
        level: 'warn',
        text: '3 messages are left to the broker; 1 messages are lost: they came with QoS 0 or were acknowledged on receipt',
      },
    ]);
    const second = await at.connectAgain();
    await second.nothing(at.clock);
  });

  it('still runs what was acknowledged on receipt and waits for its turn', async () => {
    const held = new Held();
    const at = await runtimeWith([{ options: { acknowledge: 'on-receive', concurrency: 1 }, handle: held.handle }]);
    await at.deliver(1);
    await at.deliver(2);
    at.pause();
    const closing = at.runtime.close(undefined);

    held.end(1);
    await at.clock.settle();
    held.end(2);
    await closing;

    expect(held.begun).toEqual([1, 2]);
    expect(at.runtime.stats().lost).toBe(0);
  });

  it('does not wait for handlers that take longer than its deadline; the event loop does not either', async () => {
    const held = new Held();
    const at = await runtimeWith([{ handle: held.handle }]);
    await at.deliver(1);
    await at.deliver(2);
    at.pause();
    const closing = at.runtime.close(undefined);
    await at.clock.advance(1_000);
    await closing;

    expect(at.log.map(({ text }) => text)).toEqual([
      '2 handlers still run after 1000 ms: raise drainTimeoutMs if they need longer; 2 messages are left to the broker',
    ]);
    expect(at.loop.stats().unsettled).toBe(0);
    const shutdown = at.loop.shutdown({ drainTimeoutMs: 5_000 });
    await at.connection.next('disconnect');
    await at.clock.settle();
    at.connection.end();
    await at.clock.advance(1_000);
    expect(await shutdown).toEqual({ drained: true });

    held.end(1);
    held.fail(2);
    await at.clock.settle();
    expect(at.runtime.stats()).toMatchObject({ late: 2, left: 2, running: 0, failed: 0 });
  });

  it('leaves ten thousand messages that wait behind one key without a deep stack', async () => {
    const held = new Held();
    const at = await runtimeWith(
      [{ options: { ordering: () => 'one', retry: { minDelayMs: 5_000, jitter: 'none' } }, handle: held.handle }],
      { loop: { receiveMaximum: 20_000 } },
    );
    for (let id = 1; id <= 10_000; id++)
      at.connection.publish({ topic: 't/a', payload: `${id}`, qos: 1, messageId: id });
    await expect.poll(() => at.runtime.stats().running).toBe(10_000);
    held.fail(1);
    await at.clock.settle();

    at.pause();
    await at.runtime.close(undefined);

    expect(at.runtime.stats()).toMatchObject({ left: 10_000, running: 0 });
  });
});

describe('tens of thousands of waiting retries', () => {
  it('have one timer, and take less than 1 KB each', async () => {
    const at = await runtimeWith(
      [
        {
          options: { retry: { minDelayMs: 60_000 } },
          handle: () => {
            throw new Error('broken');
          },
        },
      ],
      { loop: { incomingCapacity: 200_000 } },
    );
    await at.deliver(0, 'x', { qos: 0, messageId: undefined });
    const timers = at.clock.pendingTimers;
    const retries = 20_000;
    const add = async (): Promise<void> => {
      const target = at.runtime.stats().waitingRetries + retries;
      for (let index = 0; index < retries; index++) {
        at.connection.publish({ topic: `t/${index % 100}`, payload: 'x', qos: 0 });
        if (index % 1_000 === 0) await at.clock.settle();
      }
      await vi.waitUntil(() => at.runtime.stats().waitingRetries === target, { timeout: 20_000, interval: 10 });
    };
    // The first ones fill caches, and bring compiled code.
    await add();
    const before = heapAfterCollection();
    await add();

    expect(at.clock.pendingTimers).toBeLessThanOrEqual(timers);
    expect((heapAfterCollection() - before) / retries).toBeLessThan(1_024);
  });
});

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
