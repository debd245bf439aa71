import { describe, expect, it } from 'vitest';
import { Held, runtimeWith } from './runtime-harness.js';

const noJitter = { attempts: 3, minDelayMs: 1_000, factor: 3, jitter: 'none' };

describe('a failed handler', () => {
  it('runs again after growing delays, and its message is acknowledged when it succeeds', async () => {
    const runs: [number, number][] = [];
    const at = await runtimeWith([
      {
        options: { retry: noJitter },
        handle: (_data, context) => {
          runs.push([context.getAttempt(), at.clock.now()]);
          if (context.getAttempt() < 3) throw new Error('not yet');
        },
      },
    ]);

    await at.deliver(1);
    await at.clock.advance(999);
    expect(runs).toEqual([[1, 0]]);
    expect(at.runtime.stats()).toMatchObject({ running: 1, waitingRetries: 1 });
    await at.connection.nothing(at.clock);
    await at.clock.advance(1);
    await at.clock.advance(2_999);
    await at.connection.nothing(at.clock);
    await at.clock.advance(1);

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(runs).toEqual([
      [1, 0],
      [2, 1_000],
      [3, 4_000],
    ]);
    expect(at.runtime.stats()).toMatchObject({ running: 0, waitingRetries: 0, retried: 2, failed: 0 });
    expect([at.loop.stats().handlerFailures, at.log]).toEqual([0, []]);
  });

  it('is given up after the last attempt: refused, counted, one line in the log', async () => {
    const at = await runtimeWith([
      {
        options: { retry: noJitter, onFailure: { action: 'reject', reasonCode: 0x99 } },
        handle: () => {
          throw new Error('broken');
        },
      },
    ]);
    const failed: unknown[] = [];
    at.loop.on('handler-failed', ({ error }) => failed.push(error));

    await at.deliver(1);
    await at.clock.advance(4_000);

    expect(await at.connection.next('puback')).toMatchObject({ messageId: 1, reasonCode: 0x99 });
    expect(at.runtime.stats()).toMatchObject({ failed: 1, retried: 2, rejected: 1 });
    expect(failed).toEqual([new Error('broken')]);
    expect(at.log).toEqual([
      {
        level: 'error',
        text: 'handler of "t/#" failed on "t/a" (attempt 3 of 3): broken; it is refused (0x99): retry and deadLetter would keep such messages',
      },
    ]);
  });

  it.each([
    ['an error that is worth it', (error: unknown) => (error as Error).message === 'broken', 3, []],
    ['one that is not', (error: unknown) => (error as Error).message !== 'broken', 1, []],
    [
      'one that the predicate fails on',
      () => {
        throw new Error('which error?');
      },
      1,
      ['retry.when of the handler for "t/#" failed: which error?; the failure policy decides'],
    ],
    [
      'one for which it returns a promise',
      async () => Promise.reject(new Error('too late')),
      1,
      [
        'retry.when of the handler for "t/#" failed: invalid result: Promise; expected true or false; the failure policy decides',
      ],
    ],
  ])('runs again for %s, or else goes on to the dead letter', async (_which, when, attempts, logged) => {
    let runs = 0;
    const at = await runtimeWith([
      {
        options: { retry: { ...noJitter, when }, deadLetter: 'dead' },
        handle: () => {
          runs++;
          throw new Error('broken');
        },
      },
    ]);

    await at.deliver(1);
    await at.clock.advance(4_000);

    const letter = await at.connection.next('publish');
    expect(letter.properties?.userProperties).toMatchObject({ 'dead-letter-attempts': String(attempts) });
    at.connection.puback(letter);
    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(runs).toBe(attempts);
    expect(at.runtime.stats()).toMatchObject({ failed: 1, retried: attempts - 1, deadLettered: 1 });
    expect(at.log.map(({ text }) => text).filter((text) => text.startsWith('retry.when'))).toEqual(logged);
  });

  it('runs again after a delay that is uniform up to a ceiling that stays', async () => {
    const runs: number[] = [];
    const at = await runtimeWith(
      [
        {
          options: { retry: { attempts: 6, minDelayMs: 1_000, maxDelayMs: 4_000 } },
          handle: () => {
            runs.push(at.clock.now());
            throw new Error('broken');
          },
        },
      ],
      { random: () => 0.25 },
    );

    await at.deliver(1);
    await at.clock.advance(60_000);

    expect(runs).toEqual([0, 250, 750, 1_750, 2_750, 3_750]);
  });

  it('sees the payload as it came, whatever an earlier attempt has made of it', async () => {
    const seen: unknown[] = [];
    const at = await runtimeWith([
      {
        options: { retry: noJitter },
        handle: (data) => {
          seen.push(structuredClone(data));
          (data as { value?: number }).value = 7;
          throw new Error('broken');
        },
      },
    ]);

    await at.deliver(1, '{"value":1}');
    await at.clock.advance(4_000);

    expect(seen).toEqual([{ value: 1 }, { value: 1 }, { value: 1 }]);
  });

  it.each([undefined, null, 0, 'text', { code: 7 }, Symbol('thrown')])(
    'fails whatever it throws: %s',
    async (thrown) => {
      const at = await runtimeWith([
        {
          options: { retry: { attempts: 2, minDelayMs: 10 } },
          handle: () => {
            throw thrown;
          },
        },
      ]);
      const failed: unknown[] = [];
      at.loop.on('handler-failed', ({ error }) => failed.push(error));

      await at.deliver(1);
      await at.clock.advance(10);

      expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
      expect(failed).toEqual([thrown]);
      expect(at.runtime.stats()).toMatchObject({ failed: 1, retried: 1, running: 0 });
    },
  );

  it('is tried again alone: the others of its message have run', async () => {
    const runs: string[] = [];
    const at = await runtimeWith([
      { handle: () => void runs.push('succeeds') },
      {
        options: { retry: noJitter },
        handle: (_data, context) => {
          runs.push(`attempt ${context.getAttempt()}`);
          if (context.getAttempt() === 1) throw new Error('not yet');
        },
      },
      { options: { acknowledge: 'on-receive' }, handle: () => void runs.push('has no say') },
    ]);

    await at.deliver(1);
    await at.connection.nothing(at.clock);
    await at.clock.advance(1_000);

    await at.connection.next('puback');
    expect(runs).toEqual(['succeeds', 'attempt 1', 'has no say', 'attempt 2']);
  });

  it('goes on with its retries over a lost connection, whose session was lost too', async () => {
    const runs: number[] = [];
    const at = await runtimeWith([
      {
        options: { retry: noJitter },
        handle: (_data, context) => {
          runs.push(context.getAttempt());
          if (context.getAttempt() < 3) throw new Error('not yet');
        },
      },
    ]);
    await at.deliver(1);

    const second = await at.connectAgain({ sessionPresent: false });
    await at.clock.advance(5_000);

    expect(runs).toEqual([1, 2, 3]);
    await second.nothing(at.clock);
    expect(at.loop.stats()).toMatchObject({ unsettled: 0, handlerFailures: 0 });
  });

  it('of a QoS 2 message acknowledges the redelivery after a reconnect, without another run', async () => {
    const runs: number[] = [];
    const at = await runtimeWith([
      {
        options: { retry: noJitter },
        handle: (_data, context) => {
          runs.push(context.getAttempt());
          if (context.getAttempt() === 1) throw new Error('not yet');
        },
      },
    ]);
    await at.deliver(1, 'x', { qos: 2 });

    const second = await at.connectAgain();
    second.publish({ topic: 't/a', payload: 'x', qos: 2, messageId: 1, dup: true });
    await second.nothing(at.clock);
    await at.clock.advance(1_000);

    await second.next('pubrec');
    expect(runs).toEqual([1, 2]);
  });

  it('frees its place at the limit while it waits', async () => {
    const held = new Held();
    const at = await runtimeWith([{ options: { concurrency: 1, retry: noJitter }, handle: held.handle }]);
    await at.deliver(1);
    await at.deliver(2);
    expect(held.begun).toEqual([1]);

    held.fail(1);
    await at.clock.settle();
    expect(held.begun).toEqual([1, 2]);
    await at.clock.advance(1_000);
    expect(held.begun).toEqual([1, 2]);
    held.end(2);
    await at.clock.settle();

    expect(held.begun).toEqual([1, 2, 1]);
    held.end(1);
  });
});

describe('a handler with a time limit', () => {
  it('has failed when time is up; what it does later is ignored and counted', async () => {
    const held = new Held();
    const at = await runtimeWith([
      { options: { handlerTimeoutMs: 500, retry: { ...noJitter, attempts: 2 } }, handle: held.handle },
    ]);
    await at.deliver(1);
    await at.clock.advance(499);
    expect(at.runtime.stats().timedOut).toBe(0);
    await at.clock.advance(1);
    expect(at.runtime.stats()).toMatchObject({ timedOut: 1, retried: 1, late: 0 });

    held.end(1);
    await at.connection.nothing(at.clock);
    expect(at.runtime.stats().late).toBe(1);
    await at.clock.advance(1_000);
    expect(held.begun).toEqual([1, 1]);
    await at.clock.advance(500);

    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
    expect(at.log.at(-1)?.text).toContain(
      '(attempt 2 of 2): the handler for "t/#" did not settle within 500 ms; make it end (a stream too), or raise handlerTimeoutMs',
    );
  });

  it('costs one timer, however many run', async () => {
    const held = new Held();
    const at = await runtimeWith([{ options: { handlerTimeoutMs: 60_000 }, handle: held.handle }]);
    await at.deliver(51);
    const before = at.clock.pendingTimers;

    for (let id = 1; id <= 50; id++) await at.deliver(id);

    expect(at.clock.pendingTimers).toBe(before);
    for (let id = 1; id <= 51; id++) held.end(id);
    await at.clock.settle();
    expect(at.runtime.stats()).toMatchObject({ running: 0, timedOut: 0 });
  });
});
