import { Logger } from '@nestjs/common';
import { describe, expect, it, vi } from 'vitest';
import { logConnection, LogLimiter } from '../../lib/mqtt.logging.js';
import { scriptedLoop } from '../fixtures/scripted-loop.js';

describe('the log of a connection', () => {
  it('tells of renewed credentials and of a provider that fails, and repeats neither token nor error', async () => {
    const lines: string[] = [];
    for (const level of ['log', 'warn', 'error'] as const)
      vi.spyOn(Logger.prototype, level).mockImplementation(
        (line: unknown) => void lines.push(`${level} ${String(line)}`),
      );
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
    logConnection(loop, 'default');
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
});

describe('the log limiter', () => {
  it('admits ten lines of a kind at once, then one a second, and says how many it left out', () => {
    let nowMs = 0;
    const limiter = new LogLimiter(() => nowMs);

    const burst = Array.from({ length: 13 }, () => limiter.admit('x'));
    nowMs = 999;
    const early = limiter.admit('x');
    nowMs = 1_000;
    const next = [limiter.admit('x'), limiter.admit('x')];

    expect(burst).toEqual([...Array.from({ length: 10 }, () => ''), undefined, undefined, undefined]);
    expect(early).toBeUndefined();
    expect(next).toEqual([' (and 4 more like this)', undefined]);
  });

  it('counts kinds apart', () => {
    const limiter = new LogLimiter(() => 0);
    for (let i = 0; i < 20; i++) limiter.admit('noisy');

    expect(limiter.admit('quiet')).toBe('');
  });

  it('is full again after a quiet time, and no fuller', () => {
    let nowMs = 0;
    const limiter = new LogLimiter(() => nowMs);
    for (let i = 0; i < 20; i++) limiter.admit('x');

    nowMs = 3_600_000;

    expect(Array.from({ length: 11 }, () => limiter.admit('x') !== undefined).filter(Boolean)).toHaveLength(10);
  });
});
