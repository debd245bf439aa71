import { NEVER, Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Held, runtimeWith } from './runtime-harness.js';

const broken = (): never => {
  throw new Error('broken');
};

describe('what becomes of a failed message', () => {
  it.each([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])(
    'reject: PUBACK and PUBREC with 0x%x on MQTT 5',
    async (reasonCode) => {
      const at = await runtimeWith([{ options: { onFailure: { action: 'reject', reasonCode } }, handle: broken }]);

      await at.deliver(1);
      expect(await at.connection.next('puback')).toMatchObject({ messageId: 1, reasonCode });
      await at.deliver(2, 'x', { qos: 2 });
      expect(await at.connection.next('pubrec')).toMatchObject({ messageId: 2, reasonCode });

      expect(at.runtime.stats()).toMatchObject({ failed: 2, rejected: 2 });
    },
  );

  it('reject: a plain acknowledgement on MQTT 3.1.1, which the log tells', async () => {
    const at = await runtimeWith([{ options: { onFailure: 'reject' }, handle: broken }], {
      loop: { protocolVersion: 4 },
    });

    await at.deliver(1);

    await at.connection.next('puback');
    expect(at.log[0]?.text).toContain('broken; it is acknowledged, for MQTT 3.1.1 cannot refuse');
  });

  it('acknowledge: success, and the failure is still counted and emitted', async () => {
    const at = await runtimeWith([{ options: { onFailure: 'acknowledge' }, handle: broken }]);
    const failed: unknown[] = [];
    at.loop.on('handler-failed', ({ topic }) => failed.push(topic));

    await at.deliver(1);

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(failed).toEqual(['t/a']);
    expect(at.runtime.stats()).toMatchObject({ failed: 1, rejected: 0 });
  });

  it('leave: nothing, until a new connection is made for it, on which the broker sends it again', async () => {
    let isBroken = true;
    const runs: unknown[] = [];
    const at = await runtimeWith([
      {
        options: { onFailure: { action: 'leave', redeliverAfterMs: 5_000 } },
        handle: (data) => {
          runs.push(data);
          if (isBroken) broken();
        },
      },
    ]);
    await at.deliver(1);
    await at.deliver(2, 'x', { qos: 2 });
    await at.clock.advance(4_999);
    await at.connection.nothing(at.clock);
    expect(at.runtime.stats()).toMatchObject({ left: 2, failed: 2, running: 0 });

    isBroken = false;
    await at.clock.advance(1);
    await at.connection.next('disconnect');
    await at.clock.advance(200);
    const second = await at.broker.acceptConnected({ sessionPresent: true });
    second.publish({ topic: 't/a', payload: '1', qos: 1, messageId: 1, dup: true });
    second.publish({ topic: 't/a', payload: 'x', qos: 2, messageId: 2, dup: true });

    await second.next('puback');
    expect((await second.next('pubrec')).reasonCode ?? 0).toBe(0);
    expect(runs).toEqual([1, 'x', 1, 'x']);
    expect(at.log.at(-1)?.text).toBe(
      'connecting again, so that the broker sends 2 messages again that were left to it',
    );
    await at.clock.advance(60_000);
    expect(at.broker.connections).toHaveLength(2);
  });

  it('leave: a connection that is lost before is as good', async () => {
    const at = await runtimeWith([
      { options: { onFailure: { action: 'leave', redeliverAfterMs: 5_000 } }, handle: broken },
    ]);
    await at.deliver(1);

    await at.connectAgain();
    await at.clock.advance(60_000);

    expect(at.broker.connections).toHaveLength(2);
  });

  it('leave holds back the acknowledgements of later messages, which leave in order [MQTT-4.6.0-2]', async () => {
    const at = await runtimeWith([
      {
        options: { onFailure: { action: 'leave', redeliverAfterMs: 0 } },
        handle: (data) => (data === 1 ? broken() : undefined),
      },
    ]);

    await at.deliver(1);
    await at.deliver(2);

    await at.connection.nothing(at.clock);
    expect(at.loop.stats().unsettled).toBe(0);
  });

  it('of several handlers: left if one leaves it, else refused with the highest reason', async () => {
    const reject = (reasonCode: number) => ({
      options: { onFailure: { action: 'reject', reasonCode } },
      handle: broken,
    });
    const leave = { options: { onFailure: 'leave' }, handle: broken };
    const fine = { handle: () => undefined };

    const refusing = await runtimeWith([reject(0x83), fine, reject(0x97)]);
    await refusing.deliver(1);
    expect(await refusing.connection.next('puback')).toMatchObject({ reasonCode: 0x97 });

    const leaving = await runtimeWith([reject(0x83), leave, fine]);
    await leaving.deliver(1);
    await leaving.connection.nothing(leaving.clock);
    expect(leaving.runtime.stats()).toMatchObject({ failed: 2, left: 1, rejected: 1, running: 0 });
  });

  it('is nothing where the message was acknowledged on receipt, or came with QoS 0', async () => {
    const at = await runtimeWith([{ options: { acknowledge: 'on-receive' }, handle: broken }]);

    await at.deliver(1);
    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    await at.deliver(0, 'x', { qos: 0, messageId: undefined });

    await at.connection.nothing(at.clock);
    expect(at.log.map(({ text }) => text.split('; ')[1])).toEqual([
      expect.stringContaining('it was acknowledged on receipt and is gone'),
      expect.stringContaining('it came with QoS 0 and is gone'),
    ]);
    expect(at.runtime.stats()).toMatchObject({ failed: 2, rejected: 0, left: 0 });
  });
});

describe('acknowledgement after the handler', () => {
  it('waits for a stream to end, and takes its error for a failure', async () => {
    const observers: { complete(): void; error(error: unknown): void }[] = [];
    const at = await runtimeWith([{ handle: () => new Observable((observer) => void observers.push(observer)) }]);
    await at.deliver(1);
    await at.deliver(2);
    await at.connection.nothing(at.clock);

    observers[0]!.complete();
    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    observers[1]!.error(new Error('late'));
    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
  });

  it('a stream that never ends fails in time, and is left', async () => {
    let isLeft = false;
    const at = await runtimeWith([
      {
        options: { handlerTimeoutMs: 1_000 },
        handle: () => new Observable(() => () => void (isLeft = true)),
      },
    ]);
    await at.deliver(1);

    await at.clock.advance(1_000);

    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
    expect([isLeft, at.runtime.stats().timedOut]).toEqual([true, 1]);
  });
});

describe('a request', () => {
  const asked = { properties: { responseTopic: 'answers', correlationData: Buffer.from('7') } };

  it('is settled by its reply, which an error is as well: no retry, no dead letter', async () => {
    const at = await runtimeWith([
      { isRequest: true, options: { retry: { minDelayMs: 1 }, deadLetter: 'dead' }, handle: broken },
    ]);

    await at.deliver(1, '1', asked);

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    const reply = await at.connection.next('publish');
    expect([reply.topic, JSON.parse(reply.payload.toString())]).toEqual([
      'answers',
      { status: 'error', message: 'broken' },
    ]);
    at.connection.puback(reply);
    await at.clock.advance(10_000);
    await at.connection.nothing(at.clock);
    expect(at.runtime.stats()).toMatchObject({ failed: 0, retried: 0 });
  });

  it('whose handler does not answer in time is answered with an error; the late answer is not sent', async () => {
    const held = new Held();
    const at = await runtimeWith([{ isRequest: true, options: { handlerTimeoutMs: 1_000 }, handle: held.handle }]);
    await at.deliver(1, '1', asked);
    await at.clock.advance(1_000);

    await at.connection.next('puback');
    const reply = await at.connection.next('publish');
    expect(JSON.parse(reply.payload.toString())).toMatchObject({ message: expect.stringContaining('1000 ms') });
    at.connection.puback(reply);
    held.end(1);
    await at.connection.nothing(at.clock);
    expect(at.runtime.stats()).toMatchObject({ timedOut: 1, late: 1, running: 0 });
  });

  it('whose stream does not end in time is answered with an error after what it has sent', async () => {
    const at = await runtimeWith([
      {
        isRequest: true,
        options: { handlerTimeoutMs: 1_000 },
        handle: () => new Observable((observer) => observer.next(1)),
      },
      { isRequest: true, pattern: 'never', options: { handlerTimeoutMs: 1_000 }, handle: () => NEVER },
    ]);
    await at.deliver(1, '1', asked);
    const first = await at.connection.next('publish');
    expect(first.payload.toString()).toBe('1');
    at.connection.puback(first);

    await at.clock.advance(1_000);

    await at.connection.next('puback');
    const last = await at.connection.next('publish');
    expect(last.payload.toString()).toContain('1000 ms');
    at.connection.puback(last);
  });

  it('cannot be retried by hand', async () => {
    const errors: unknown[] = [];
    const at = await runtimeWith([
      {
        isRequest: true,
        options: { acknowledge: 'manual' },
        handle: (_data, context) => {
          try {
            context.retry();
          } catch (error) {
            errors.push(error);
          }
          context.acknowledge();
          return 'answer';
        },
      },
    ]);

    await at.deliver(1, '1', asked);

    await at.connection.next('puback');
    at.connection.puback(await at.connection.next('publish'));
    expect(errors).toMatchObject([{ reason: 'request' }]);
  });
});

it('a late copy for a subscription that has ended is acknowledged, and nobody runs, answers or is missed', async () => {
  const runs: unknown[] = [];
  const at = await runtimeWith([{ isRequest: true, handle: (data) => runs.push(data) }]);
  const { identifiers } = at.router;
  identifiers.set('t/#', 1);
  identifiers.set('t/a', 7);
  identifiers.set('t/a', undefined);
  const asked = { responseTopic: 'answers', correlationData: Buffer.from('7') };

  await at.deliver(1, 'late', { properties: { ...asked, subscriptionIdentifier: 7 } });
  expect(await at.connection.next('puback')).toMatchObject({ messageId: 1 });
  await at.connection.nothing(at.clock);
  await at.deliver(2, 'own', { properties: { ...asked, subscriptionIdentifier: 1 } });

  expect(await at.connection.next('puback')).toMatchObject({ messageId: 2 });
  expect((await at.connection.next('publish')).payload.toString()).toBe('1');
  expect(runs).toEqual(['own']);
  expect(at.runtime.stats()).toMatchObject({ unmatched: 0 });
  expect(at.log).toEqual([]);
});
