import { checkDecoding } from './decoding.js';
import { checkAgainstOthers } from './differential.js';
import { Failure } from './failure.js';
import { inputAt, type FuzzInput } from './inputs.js';
import { checkSessions, type SessionCase } from './session.js';

/** Event loops that run side by side. */
const SIDE_BY_SIDE = 16;

export interface Campaign {
  readonly seed: number;
  readonly from: number;
  readonly inputs: number;
  /** One input in this many is run through whole event loops as well, which costs twenty times as much. */
  readonly sessionEvery: number;
  /** Called before every input; true ends the campaign. */
  readonly beforeInput?: (index: number) => boolean;
}

export interface Tally {
  inputs: number;
  sessions: number;
  packets: number;
  bytes: number;
  /** Inputs by the first rule they broke. */
  readonly violations: Map<string, number>;
}

export interface Finding {
  readonly input: FuzzInput;
  readonly index: number;
  readonly failure: Failure;
}

/** Runs inputs until one of them shows something. */
export async function runCampaign(
  campaign: Campaign,
  tally = newTally(),
): Promise<{ tally: Tally; finding?: Finding }> {
  const { seed, from, inputs, sessionEvery, beforeInput } = campaign;
  let cases: (SessionCase & { index: number })[] = [];
  const runSessions = async (): Promise<Finding | undefined> => {
    const batch = cases;
    cases = [];
    tally.sessions += batch.length;
    const failures = await checkSessions(batch);
    const at = failures.findIndex((failure) => failure !== undefined);
    return at < 0 ? undefined : { ...batch[at]!, failure: failures[at]! };
  };
  for (let index = from; index < from + inputs; index++) {
    if (beforeInput?.(index)) break;
    const input = inputAt(seed, index);
    try {
      const decoded = checkDecoding(input);
      const rule = checkAgainstOthers(input, decoded);
      tally.inputs++;
      tally.bytes += input.bytes.length;
      tally.packets += decoded.events.length;
      if (rule !== undefined) tally.violations.set(rule, (tally.violations.get(rule) ?? 0) + 1);
      if (index % sessionEvery === 0) cases.push({ input, decoded, index });
    } catch (error) {
      return { tally, finding: { input, index, failure: failureOf(error) } };
    }
    const finding = cases.length === SIDE_BY_SIDE ? await runSessions() : undefined;
    if (finding !== undefined) return { tally, finding };
  }
  const finding = await runSessions();
  return finding === undefined ? { tally } : { tally, finding };
}

export function newTally(): Tally {
  return { inputs: 0, sessions: 0, packets: 0, bytes: 0, violations: new Map() };
}

/** All targets on one input. */
export async function checkInput(input: FuzzInput): Promise<Failure | undefined> {
  try {
    const decoded = checkDecoding(input);
    checkAgainstOthers(input, decoded);
    // Twice, since cases take turns in how they cut the bytes.
    const failures = await checkSessions([
      { input, decoded },
      { input, decoded },
    ]);
    return failures.find((failure) => failure !== undefined);
  } catch (error) {
    return failureOf(error);
  }
}

function failureOf(error: unknown): Failure {
  return error instanceof Failure ? error : new Failure('threw', error);
}
