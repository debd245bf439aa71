import { MqttSettlementError, type MqttContext } from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { runtimeWith } from './runtime-harness.js';

/** Keeps the contexts, and returns at once. */
function keeping(contexts: MqttContext[], options: Record<string, unknown> = {}) {
  return {
    options: { acknowledge: 'manual', ...options },
    handle: (_data: unknown, context: MqttContext) => void contexts.push(context),
  };
}

describe('settlement by hand', () => {
  it.each([
    ['acknowledge()', (context: MqttContext) => context.acknowledge(), 0],
    ['reject()', (context: MqttContext) => context.reject(), 0x80],
    ['reject(0x97)', (context: MqttContext) => context.reject(0x97), 0x97],
  ])('%s answers the broker after the handler has returned', async (_name, settle, reasonCode) => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([keeping(contexts)]);
    await at.deliver(1);
    await at.connection.nothing(at.clock);

    settle(contexts[0]!);

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(reasonCode);
    await at.clock.settle();
    expect(at.runtime.stats()).toMatchObject({ running: 0, failed: 0, rejected: reasonCode === 0 ? 0 : 1 });
  });

  it('works before the handler returns, too', async () => {
    let finish!: () => void;
    const at = await runtimeWith([
      {
        options: { acknowledge: 'manual' },
        handle: async (_data, context) => {
          context.acknowledge();
          await new Promise<void>((resolve) => (finish = resolve));
        },
      },
    ]);
    await at.deliver(1);

    await at.connection.next('puback');
    expect(at.runtime.stats().running).toBe(1);
    finish();
    await at.clock.settle();
    expect(at.runtime.stats().running).toBe(0);
  });

  it('retry() gives the message to the handler again, in a context of its own', async () => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([keeping(contexts)]);
    await at.deliver(1);

    contexts[0]!.retry({ delayMs: 5_000 });
    await at.clock.advance(4_999);
    expect(contexts).toHaveLength(1);
    await at.clock.advance(1);

    expect(contexts.map((context) => context.getAttempt())).toEqual([1, 2]);
    await at.connection.nothing(at.clock);
    contexts[1]!.acknowledge();
    await at.connection.next('puback');
    expect(at.runtime.stats()).toMatchObject({ retried: 1, failed: 0 });
  });

  it('retry() waits until the handler has returned', async () => {
    const attempts: number[] = [];
    let finish!: () => void;
    const at = await runtimeWith([
      {
        options: { acknowledge: 'manual' },
        handle: async (_data, context) => {
          attempts.push(context.getAttempt());
          if (attempts.length > 1) return context.acknowledge();
          context.retry({ delayMs: 0 });
          await new Promise<void>((resolve) => (finish = resolve));
        },
      },
    ]);
    await at.deliver(1);
    await at.clock.advance(1_000);
    expect(attempts).toEqual([1]);

    finish();
    await at.clock.advance(1);

    expect(attempts).toEqual([1, 2]);
    await at.connection.next('puback');
  });

  it('retry() without a delay waits as the retry option says, and no longer than its attempts', async () => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([
      keeping(contexts, { retry: { attempts: 2, minDelayMs: 3_000, jitter: 'none' }, deadLetter: 'dead' }),
    ]);
    await at.deliver(1);
    contexts[0]!.retry();
    await at.clock.advance(2_999);
    expect(contexts).toHaveLength(1);
    await at.clock.advance(1);

    contexts[1]!.retry();

    const letter = await at.connection.next('publish');
    expect(letter.properties?.userProperties).toMatchObject({
      'dead-letter-error': 'context.retry() was called in the last of 2 attempts',
      'dead-letter-attempts': '2',
    });
    at.connection.puback(letter);
    await at.connection.next('puback');
  });

  it('is not needed when the handler throws: then the failure policy decides', async () => {
    const attempts: number[] = [];
    const at = await runtimeWith([
      {
        options: { acknowledge: 'manual', retry: { attempts: 2, minDelayMs: 10, jitter: 'none' } },
        handle: (_data, context) => {
          attempts.push(context.getAttempt());
          throw new Error('broken');
        },
      },
    ]);

    await at.deliver(1);
    await at.clock.advance(10);

    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
    expect(attempts).toEqual([1, 2]);
  });

  it('stands when the handler throws afterwards, which is reported', async () => {
    const at = await runtimeWith([
      {
        options: { acknowledge: 'manual', retry: {} },
        handle: (_data, context) => {
          context.acknowledge();
          throw new Error('afterwards');
        },
      },
    ]);

    await at.deliver(1);

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    await at.clock.settle();
    expect(at.runtime.stats()).toMatchObject({ failed: 1, retried: 0, running: 0 });
    expect(at.log[0]?.text).toContain('afterwards; the handler had settled the message by then');
  });

  it.each(['acknowledge', 'reject', 'retry'] as const)('refuses a second call: %s', async (second) => {
    for (const first of ['acknowledge', 'reject', 'retry'] as const) {
      const contexts: MqttContext[] = [];
      const at = await runtimeWith([keeping(contexts)]);
      await at.deliver(1);
      contexts[0]![first]();

      let error: unknown;
      try {
        contexts[0]![second]();
      } catch (thrown) {
        error = thrown;
      }

      expect(error).toBeInstanceOf(MqttSettlementError);
      expect(error).toMatchObject({
        code: 'MQTT_SETTLEMENT_MISUSE',
        method: second,
        reason: 'already-settled',
        pattern: 't/#',
        topic: 't/a',
      });
    }
  });

  it('refuses the context of an earlier attempt', async () => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([keeping(contexts)]);
    await at.deliver(1);
    contexts[0]!.retry({ delayMs: 1 });
    await at.clock.advance(1);

    expect(() => contexts[0]!.acknowledge()).toThrow(/came too late.*exactly one/);
    contexts[1]!.acknowledge();
    await at.connection.next('puback');
  });

  it.each(['after-handler', 'on-receive'])('is refused with acknowledge: %s', async (acknowledge) => {
    const errors: unknown[] = [];
    const at = await runtimeWith([
      {
        options: { acknowledge },
        handle: (_data, context) => {
          for (const method of ['acknowledge', 'reject', 'retry'] as const) {
            try {
              context[method]();
            } catch (error) {
              errors.push((error as MqttSettlementError).reason);
            }
          }
        },
      },
    ]);

    await at.deliver(1);

    expect(errors).toEqual(['wrong-mode', 'wrong-mode', 'wrong-mode']);
    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
  });

  it('refuses a wrong argument, which settles nothing', async () => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([keeping(contexts)]);
    await at.deliver(1);
    const [context] = contexts;

    expect(() => context!.reject(0)).toThrow(/reasonCode: 0; expected a reason code that refuses/);
    expect(() => context!.reject(Number.NaN)).toThrow('reasonCode');
    for (const delayMs of [-1, Number.NaN, Infinity]) {
      expect(() => context!.retry({ delayMs })).toThrow(`delayMs: ${delayMs}`);
    }

    context!.acknowledge();
    await at.connection.next('puback');
  });

  it('of several handlers: the message is answered when all have decided, with the highest reason code', async () => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([keeping(contexts), keeping(contexts), { handle: () => undefined }]);
    await at.deliver(1);

    contexts[0]!.reject(0x97);
    await at.connection.nothing(at.clock);
    contexts[1]!.acknowledge();

    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x97 });
  });

  it('frees the place at the limit when the handler returns, and the key when it is settled', async () => {
    const contexts: MqttContext[] = [];
    const at = await runtimeWith([keeping(contexts, { concurrency: 1, ordering: 'topic' })]);
    await at.deliver(1, '1', { topic: 't/a' });
    await at.deliver(2, '2', { topic: 't/b' });
    await at.deliver(3, '3', { topic: 't/a' });
    expect(contexts.map((context) => context.getPayload().toString())).toEqual(['1', '2']);

    contexts[0]!.acknowledge();
    await at.clock.settle();

    expect(contexts.map((context) => context.getPayload().toString())).toEqual(['1', '2', '3']);
    contexts[1]!.acknowledge();
    contexts[2]!.acknowledge();
  });
});
