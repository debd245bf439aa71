import { describe, expect, it } from 'vitest';
import { ConcurrencyGate, type Waiter } from '../../../lib/settlement/concurrency-gate.js';

class Entrant implements Waiter {
  previous: Waiter | undefined = undefined;
  next: Waiter | undefined = undefined;

  constructor(readonly proceed: () => void = () => undefined) {}
}

describe('the concurrency gate', () => {
  it('lets as many in as its limit says', () => {
    const gate = new ConcurrencyGate(2);

    expect([gate.enter(new Entrant()), gate.enter(new Entrant()), gate.enter(new Entrant())]).toEqual([
      true,
      true,
      false,
    ]);
    expect(gate).toMatchObject({ running: 2, waiting: 1 });
  });

  it('lets those in that wait, in their order, one for each that leaves', () => {
    const gate = new ConcurrencyGate(1);
    const entered: number[] = [];
    gate.enter(new Entrant());
    for (let index = 0; index < 1_000; index++) gate.enter(new Entrant(() => entered.push(index)));

    for (let left = 0; left < 1_000; left++) {
      gate.leave();
      expect([entered.length, gate.running]).toEqual([left + 1, 1]);
    }
    gate.leave();

    expect(entered).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
    expect(gate).toMatchObject({ running: 0, waiting: 0 });
  });

  it('does not let a newcomer take the place of one that waits', () => {
    const gate = new ConcurrencyGate(1);
    const entered: string[] = [];
    gate.enter(new Entrant());
    gate.enter(new Entrant(() => entered.push('first')));
    gate.leave();

    expect(gate.enter(new Entrant())).toBe(false);
    expect(entered).toEqual(['first']);
  });
});
