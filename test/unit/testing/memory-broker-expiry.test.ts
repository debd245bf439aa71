import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { MemoryBroker, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, it, onTestFinished } from 'vitest';

const will = { topic: 'gone', payload: 'yes', delaySeconds: 30 } as const;

/** A client whose connection is lost, and that cannot come back before the broker is up. */
async function away(options: EventLoopOptions) {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock, guardMs: 200 });
  const loop = new EventLoop(
    { clientId: 'me', clean: false, reconnect: { minDelayMs: 10, maxDelayMs: 100 }, ...options },
    broker.runtime,
  );
  const received: string[] = [];
  const expiries: unknown[] = [];
  loop.onMessage(({ payload, properties }) => {
    received.push(payload.toString());
    expiries.push(properties?.messageExpirySeconds);
  });
  await loop.start();
  await loop.subscribe('news', { qos: 1 });
  broker.down();
  broker.cut();
  await clock.settle();
  onTestFinished(async () => {
    await loop.shutdown({ drainTimeoutMs: 0 });
    await broker.close();
    broker.assertClean();
    expect(clock.pendingTimers).toBe(0);
  });
  const back = async (): Promise<void> => {
    broker.up();
    await clock.advance(200);
  };
  return { clock, broker, received, expiries, back };
}

describe('a memory broker', () => {
  it('keeps a session for as long as it was asked to', async () => {
    const { clock, broker } = await away({ sessionExpirySeconds: 60 });

    await clock.advance(59_999);
    expect(broker.subscriptions).toEqual(['news']);
    await clock.advance(1);
    expect(broker.subscriptions).toEqual([]);
    expect(broker.publish('news', 'x')).toEqual([]);
  });

  it('drops messages that have expired, and says what is left of others', async () => {
    const { clock, broker, received, expiries, back } = await away({ sessionExpirySeconds: 3_600 });
    const expiring = { properties: { messageExpirySeconds: 10 } };

    broker.publish('news', 'old', expiring);
    broker.publish('news', 'retained', { ...expiring, retain: true });
    await clock.advance(4_000);
    broker.publish('news', 'fresh', expiring);
    broker.publish('news', 'lasting');
    await clock.advance(6_000);
    await back();

    expect(received).toEqual(['fresh', 'lasting']);
    expect(expiries).toEqual([4, undefined]);
  });

  it('publishes a will after its delay', async () => {
    const { clock, broker } = await away({ sessionExpirySeconds: 60, will });

    await clock.advance(29_999);
    broker.assertNothingPublished();
    await clock.advance(1);
    broker.assertPublished('gone', { data: 'yes' });
    await clock.advance(60_000);
    expect(broker.published).toHaveLength(1);
  });

  it('publishes it when the session ends, if that is earlier', async () => {
    const { clock, broker } = await away({ sessionExpirySeconds: 10, will });

    await clock.advance(10_000);
    broker.assertPublished('gone');
  });

  it('does not publish it when the client is back by then', async () => {
    const { clock, broker, back } = await away({ sessionExpirySeconds: 60, will });

    await back();
    await clock.advance(60_000);
    broker.assertNothingPublished();
  });

  it('publishes it at once when another client begins the session anew', async () => {
    const { clock, broker } = await away({ sessionExpirySeconds: 60, will });
    broker.up();
    const other = new EventLoop({ clientId: 'me' }, broker.runtime);
    const started = other.start();
    await clock.settle();
    await started;

    broker.assertPublished('gone');
    await other.shutdown();
  });
});
