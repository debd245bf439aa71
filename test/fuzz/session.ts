import { checkAfterwards } from './aftermath.js';
import { checkClient, turns } from './checks.js';
import { FuzzClient } from './client.js';
import { checkExchanges } from './exchanges.js';
import { firstPacketEnd, randomChunks, singleBytes, type Decoded } from './decoding.js';
import { Failure } from './failure.js';
import { sentPackets } from './sent.js';
import type { FuzzInput } from './inputs.js';

/** Enough for CONNACK, the requests behind it, and their writes. */
const CONNECT_TURNS = 4;
const TURNS_OF_FEEDING = 4;
const TURNS = 4;

export interface SessionCase {
  readonly input: FuzzInput;
  readonly decoded: Decoded;
}

interface Run {
  readonly client: FuzzClient;
  /** What comes behind CONNACK: chunks, and how many of them in one turn. */
  readonly chunks: Buffer[];
  readonly perTurn: number;
}

/**
 * The second target: whole event loops, many side by side since most of their time is spent on turns. Each case is run with
 * its bytes whole and in chunks within one turn, which must make no difference at all, and spread over turns.
 */
export async function checkSessions(cases: readonly SessionCase[]): Promise<(Failure | undefined)[]> {
  const runs = cases.map(({ input }, index) => runsOf(input, index));
  const clients = runs.flat().map(({ client }) => client);
  await turns(clients, CONNECT_TURNS);
  for (const [index, { input }] of cases.entries()) {
    for (const { client } of runs[index]!) client.feed([input.bytes.subarray(0, firstPacketEnd(input.bytes))]);
  }
  await turns(clients, CONNECT_TURNS);
  for (const client of clients) {
    client.wire.pauses = 0;
    client.sentBefore = sentPackets(client.wire.sent, client.version);
  }
  for (let turn = 0; turn < TURNS_OF_FEEDING; turn++) {
    for (const { client, chunks, perTurn } of runs.flat()) client.feed(chunks.splice(0, perTurn));
    await turns(clients, 1);
  }
  await turns(clients, TURNS);
  const failures = cases.map(({ decoded }, index) => attempt(() => checkRuns(runs[index]!, decoded)));
  const later = await checkAfterwards(
    runs.map((each) => each.at(-1)!.client),
    cases.map(({ input }) => input),
  );
  return failures.map((failure, index) => failure ?? later[index]);
}

function runsOf({ version, profile, bytes }: FuzzInput, index: number): Run[] {
  const rest = bytes.subarray(firstPacketEnd(bytes));
  const inChunks = [...(index % 2 === 0 ? singleBytes(rest) : randomChunks(rest))];
  const spread = [...randomChunks(rest)];
  return [
    { client: new FuzzClient(version, profile), chunks: [rest], perTurn: 1 },
    { client: new FuzzClient(version, profile), chunks: inChunks, perTurn: Infinity },
    { client: new FuzzClient(version, profile), chunks: spread, perTurn: Math.ceil(spread.length / TURNS_OF_FEEDING) },
  ];
}

function attempt(check: () => void): Failure | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

function checkRuns(runs: readonly Run[], decoded: Decoded): void {
  for (const { client } of runs) checkClient(client, decoded);
  const [whole, chunked] = runs.map(({ client }) => client);
  // A reader that stops resumes in a later turn: what happens in between may come before or after.
  if (whole!.wire.pauses + chunked!.wire.pauses > 0) return;
  if (whole!.cause === undefined && whole!.history.length > 0) checkExchanges(whole!, decoded.events);
  const a = outcome(whole!);
  const b = outcome(chunked!);
  if (a !== b) throw new Failure('the session depends on chunks', `whole:\n${a}\nin chunks:\n${b}`);
}

function outcome({ loop, history, delivered, wire }: FuzzClient): string {
  // How much of a chunk behind a violation has been counted does depend on it, and is no result.
  const stats = { ...loop.stats(), bytesReceived: 0 };
  const sent = Buffer.concat([...wire.sent, wire.lastPacket ?? Buffer.alloc(0)]).toString('hex');
  return [...history.map(String), ...delivered, JSON.stringify(stats), sent].join('\n');
}
