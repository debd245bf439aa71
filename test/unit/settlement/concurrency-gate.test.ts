import { describe, expect, it } from 'vitest';
import { ConcurrencyGate } from '../../../lib/settlement/concurrency-gate.js';

describe('the concurrency gate', () => {
  it('lets as many in as its limit says, without a promise', () => {
    const gate = new ConcurrencyGate(2);

    expect([gate.enter(), gate.enter()]).toEqual([undefined, undefined]);
    expect(gate.enter()).toBeInstanceOf(Promise);
    expect(gate).toMatchObject({ running: 2, waiting: 1 });
  });

  it('lets those in that wait, in their order, one for each that leaves', async () => {
    const gate = new ConcurrencyGate(1);
    void gate.enter();
    const entered: number[] = [];
    const all = Promise.all(
      Array.from({ length: 1_000 }, async (_, index) => {
        await gate.enter();
        entered.push(index);
        expect(gate.running).toBe(1);
        gate.leave();
      }),
    );

    gate.leave();
    await all;

    expect(entered).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    expect(gate).toMatchObject({ running: 0, waiting: 0 });
  });

  it('does not let a newcomer take the place of one that waits', () => {
    const gate = new ConcurrencyGate(1);
    void gate.enter();
    const first = gate.enter();
    gate.leave();

    expect(first).toBeInstanceOf(Promise);
    expect(gate.enter()).toBeInstanceOf(Promise);
  });
});
