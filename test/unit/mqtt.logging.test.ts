import { Logger } from '@nestjs/common';
import { VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../lib/eventloop/clock.js';
import { logConnection, LogLimiter } from '../../lib/mqtt.logging.js';
import { scriptedLoop } from '../fixtures/scripted-loop.js';

/** What is logged from now on. */
function captureLog(): string[] {
  const lines: string[] = [];
  for (const level of ['log', 'warn', 'error'] as const) {
    vi.spyOn(Logger.prototype, level).mockImplementation(
      (line: unknown) => void lines.push(`${level} ${String(line)}`),
    );
  }
  return lines;
}

describe('the log of a connection', () => {
  it('tells of renewed credentials and of a provider that fails, and repeats neither token nor error', async () => {
    const lines = captureLog();
    let calls = 0;
    const { loop, clock, broker, connect } = scriptedLoop({
      clientId: 'plant-7',
      credentials: ({ epochMs }) => {
        if (++calls === 2) throw new Error('hunter2');
        return { username: 'device', password: 'hunter2', expiresAt: epochMs + 1_000_000 };
      },
      keepAliveSeconds: 0,
      reconnect: { jitter: 'none' },
    });
    logConnection(loop, 'default', clock);
    const first = await connect();
    await clock.advance(850_000);
    await clock.advance(1_000);
    await first.next('disconnect');
    await broker.acceptConnected();
    await clock.settle();

    expect(lines).toEqual([
      'log connected to mqtt://localhost:1883 (MQTT 5, client "plant-7")',
      'warn credentials could not be renewed: the credentials provider failed; its error is the cause; next try in 1000 ms, the present ones expire at 2030-01-01T00:16:40.000Z',
      'log credentials renewed; connecting again with them',
      'log connection restored to mqtt://localhost:1883 (MQTT 5, client "plant-7")',
    ]);
  });

  it('tells every loss and every return of a connection that changes at a normal pace', async () => {
    const lines = captureLog();
    const { loop, clock, broker, connect } = scriptedLoop({
      keepAliveSeconds: 0,
      reconnect: { jitter: 'none', minDelayMs: 5_000, maxDelayMs: 5_000 },
    });
    logConnection(loop, 'default', clock);
    let connection = await connect();
    for (let i = 0; i < 30; i++) {
      connection.cut();
      await clock.advance(5_000);
      connection = await broker.acceptConnected();
      await clock.settle();
    }

    expect(lines.filter((line) => line.startsWith('warn connection lost'))).toHaveLength(30);
    expect(lines.filter((line) => line.startsWith('log connection restored'))).toHaveLength(30);
  });

  it('does not let a connection that flaps flood the log, and tells how often it did', async () => {
    const lines = captureLog();
    const { loop, clock, broker, connect } = scriptedLoop({
      keepAliveSeconds: 0,
      reconnect: { jitter: 'none', minDelayMs: 1, maxDelayMs: 1 },
    });
    logConnection(loop, 'default', clock);
    let connection = await connect();
    for (let i = 0; i < 30; i++) {
      connection.cut();
      await clock.advance(1);
      connection = await broker.acceptConnected();
      await clock.settle();
    }
    await clock.advance(10_000);

    expect(lines.filter((line) => line.startsWith('log'))).toHaveLength(10);
    expect(lines.filter((line) => line.startsWith('warn connection lost'))).toHaveLength(10);
    expect(lines.slice(-2).toSorted()).toEqual([
      'warn not logged: 20 more about lost connections',
      'warn not logged: 21 more about connections',
    ]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('tells each of many subscriptions that are refused at once, and none of them endlessly', async () => {
    const lines = captureLog();
    const { loop, clock, connect } = scriptedLoop({ keepAliveSeconds: 0 });
    logConnection(loop, 'default', clock);
    const connection = await connect();
    const filters = Array.from({ length: 30 }, (_, index) => `f/${index}`);
    const refuse = async (refused: readonly string[]): Promise<void> => {
      const request = loop.subscribe(Object.fromEntries(refused.map((filter) => [filter, {}])));
      connection.suback(
        await connection.next('subscribe'),
        refused.map(() => 0x87),
      );
      await expect(request).rejects.toMatchObject({ code: 'MQTT_SUBSCRIBE_REFUSED' });
    };
    await refuse(filters);
    const told = lines.filter((line) => line.startsWith('error the broker refused'));
    for (let i = 0; i < 14; i++) await refuse(['f/0']);
    await clock.advance(2_000);

    expect(told).toHaveLength(30);
    expect(lines.filter((line) => line.startsWith('error the broker refused'))).toHaveLength(39);
    expect(lines.at(-1)).toBe('warn not logged: 5 more about the refused subscription "f/0"');
  });

  it('tells of pauses and returns that were left out when the connection is closed', async () => {
    const lines = captureLog();
    const { loop, clock, broker, connect } = scriptedLoop({ keepAliveSeconds: 0 });
    logConnection(loop, 'default', clock);
    await connect();
    for (let i = 0; i < 12; i++) {
      await loop.pause();
      const resumed = loop.resume();
      await broker.acceptConnected();
      await resumed;
    }
    await loop.shutdown({ drainTimeoutMs: 0 });

    expect(lines.filter((line) => line === 'log connection paused')).toHaveLength(10);
    expect(lines.slice(-3)).toEqual([
      'warn not logged: 3 more about connections',
      'warn not logged: 2 more about pauses',
      'log connection closed',
    ]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the log limiter', () => {
  function limit(): { limiter: LogLimiter; clock: VirtualClock; lines: string[] } {
    const clock = new VirtualClock();
    const lines: string[] = [];
    return { limiter: new LogLimiter({ warn: (line: string) => lines.push(line) }, clock), clock, lines };
  }

  it('admits ten lines of a kind at once, then one a second, and says how many it left out', async () => {
    const { limiter, clock, lines } = limit();

    const burst = Array.from({ length: 13 }, () => limiter.admit('x'));
    await clock.advance(999);
    const early = limiter.admit('x');
    await clock.advance(1);
    const next = [limiter.admit('x'), limiter.admit('x')];

    expect(burst).toEqual([...Array.from({ length: 10 }, () => ''), undefined, undefined, undefined]);
    expect(early).toBeUndefined();
    expect(next).toEqual([' (and 4 more like this)', undefined]);
    expect(lines).toEqual([]);
  });

  it('counts kinds apart', () => {
    const { limiter } = limit();
    for (let i = 0; i < 20; i++) limiter.admit('noisy');

    expect(limiter.admit('quiet')).toBe('');
  });

  it('is full again after a quiet time, and no fuller', async () => {
    const { limiter, clock } = limit();
    for (let i = 0; i < 20; i++) limiter.admit('x');

    await clock.advance(3_600_000);

    expect(Array.from({ length: 11 }, () => limiter.admit('x') !== undefined).filter(Boolean)).toHaveLength(10);
  });

  it('tells what it left out once, by itself, when a flood has stopped', async () => {
    const { limiter, clock, lines } = limit();
    for (let i = 0; i < 20; i++) limiter.admit('failures');
    await clock.advance(1_999);
    expect(lines).toEqual([]);

    await clock.advance(10_000);

    expect(lines).toEqual(['not logged: 10 more about failures']);
    expect(limiter.admit('failures')).toBe('');
  });

  it('leaves the count to the next line while a flood goes on', async () => {
    const { limiter, clock, lines } = limit();
    const admitted: string[] = [];
    for (let i = 0; i < 200; i++) {
      const suffix = limiter.admit('failures');
      if (suffix !== undefined) admitted.push(suffix);
      await clock.advance(100);
    }

    expect(lines).toEqual([]);
    expect(admitted.length).toBeLessThan(35);
    expect(admitted.slice(-2)).toEqual([' (and 9 more like this)', ' (and 9 more like this)']);
  });

  it('has one timer while something is left out, and none at other times', async () => {
    const { limiter, clock } = limit();
    for (let i = 0; i < 10; i++) {
      limiter.admit('x');
      limiter.admit('y');
    }
    const before = clock.pendingTimers;
    for (let i = 0; i < 10; i++) {
      limiter.admit('x');
      limiter.admit('y');
    }
    const during = clock.pendingTimers;
    await clock.advance(1_000);
    limiter.admit('x');
    const whileOneIsLeft = clock.pendingTimers;
    limiter.admit('y');

    expect([before, during, whileOneIsLeft, clock.pendingTimers]).toEqual([0, 1, 1, 0]);
  });

  it('tells everything at once when it is flushed, and leaves no timer', () => {
    const { limiter, clock, lines } = limit();
    for (let i = 0; i < 12; i++) limiter.admit('x');
    for (let i = 0; i < 11; i++) limiter.admit('y');

    limiter.flush();

    expect(lines).toEqual(['not logged: 2 more about x', 'not logged: 1 more about y']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('keeps no process alive', async () => {
    const timer = vi.spyOn(globalThis, 'setTimeout');
    const limiter = new LogLimiter({ warn: () => undefined }, systemClock);
    for (let i = 0; i < 11; i++) limiter.admit('x');

    expect(timer.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false]);
    limiter.flush();
  });
});
