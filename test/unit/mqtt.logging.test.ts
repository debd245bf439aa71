import { describe, expect, it } from 'vitest';
import { LogLimiter } from '../../lib/mqtt.logging.js';

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
