import { CALM, type Program, type Step } from './program.js';
import { simulate } from './simulate.js';

const MOST_RUNS = 400;

/** Makes a failing program as short and as plain as it can be while the same invariant fails. */
export async function shrink(program: Program, invariant: string): Promise<Program> {
  let smallest = program;
  let runs = 0;
  const accept = async (candidate: Program): Promise<boolean> => {
    if (runs++ >= MOST_RUNS) return false;
    const { failure } = await simulate(candidate);
    if (failure?.invariant !== invariant) return false;
    smallest = candidate;
    return true;
  };
  await removeSteps();
  for (const simpler of simplifications) await accept({ ...smallest, ...simpler(smallest) });
  await simplifySteps();
  await removeSteps();
  return smallest;

  /** Halves, quarters, …, single steps. */
  async function removeSteps(): Promise<void> {
    for (let size = Math.ceil(smallest.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < smallest.steps.length;) {
        const steps = smallest.steps.toSpliced(at, size);
        if (!(await accept({ ...smallest, steps }))) at += size;
      }
    }
  }

  async function simplifySteps(): Promise<void> {
    for (let at = 0; at < smallest.steps.length; at++) {
      for (const simpler of simplerSteps(smallest.steps[at]!)) {
        await accept({ ...smallest, steps: smallest.steps.with(at, simpler) });
      }
    }
  }
}

const simplifications: readonly ((program: Program) => Partial<Program>)[] = [
  () => ({ weather: CALM }),
  ({ weather }) => ({ weather: { ...weather, splitChance: 0, slowWriteChance: 0 } }),
  ({ broker }) => ({ broker: { ...broker, latencyMs: [0, 0] } }),
  ({ broker }) => ({ broker: { ...broker, limits: {} } }),
  ({ handlers }) => ({ handlers: { ...handlers, synchronous: 1 } }),
  ({ handlers }) => ({ handlers: { ...handlers, fails: 0 } }),
  ({ handlers }) => ({ handlers: { ...handlers, replies: 0 } }),
  ({ handlers }) => ({ handlers: { ...handlers, consumer: 'handler' } }),
  ({ options: { throttle: _throttle, ...options } }) => ({ options }),
  ({ options }) => ({ options: { ...options, keepAliveSeconds: 0 } }),
  ({ options }) => ({
    options: { ...options, overflow: 'wait', requestCapacity: 1_000, requestCapacityBytes: 100_000 },
  }),
  ({ options }) => ({ options: { ...options, incomingCapacity: 1_000, incomingCapacityBytes: 100_000 } }),
  ({ options }) => ({ options: { ...options, inflight: 20 } }),
];

function* simplerSteps(step: Step): Generator<Step> {
  if ('count' in step && step.count > 1) yield { ...step, count: 1 };
  if (step.do !== 'publish') return;
  const { timeoutMs: _timeoutMs, abortAfterMs: _abortAfterMs, retain: _retain, refused: _refused, ...rest } = step;
  yield { ...rest, bytes: 8, via: 'publish' };
  const { andThen: _andThen, ...plain } = rest;
  yield plain;
}
