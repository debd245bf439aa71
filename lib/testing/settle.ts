import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * How many event loop turns a settle takes. A request and its answer over an in-memory link take about four
 * turns (pump, delivery, answer, delivery), an acknowledgement of the answer two more; twelve covers a QoS 2
 * exchange with a broker that answers by itself, and costs a fraction of a millisecond.
 */
export const SETTLE_TURNS = 12;

/** Lets promises, `setImmediate` callbacks and in-memory I/O run. @internal */
export async function settleTurns(turns = SETTLE_TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTurn();
}
