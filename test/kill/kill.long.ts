import { afterAll, describe, expect, test } from 'vitest';
import { killWhileReceiving } from './incoming.js';
import { killWhilePublishing, type KillResult, type KillRun } from './outgoing.js';

const seed = Number(process.env['KILL_SEED'] ?? 1);
const SIZE = { seed, kills: 20, qos1: 20_000, qos2: 20_000 } as const;
const rows: Record<string, unknown>[] = [];

async function record(
  direction: string,
  run: KillRun,
  act: (run: KillRun) => Promise<KillResult>,
): Promise<KillResult> {
  const startedMs = performance.now();
  const result = await act(run);
  rows.push({
    direction,
    mqtt: run.protocolVersion === 5 ? '5' : '3.1.1',
    kills: Object.values(result.kills).reduce((sum, count) => sum + count, 0),
    'of them broker': result.kills.broker,
    connections: result.connections,
    messages: run.qos1 + run.qos2,
    lost: result.lost[1] + result.lost[2],
    rejected: result.rejected.length,
    'QoS 2 twice': result.repeated[2],
    'QoS 1 again': result.repeated[1],
    resent: result.resent,
    seconds: Number(((performance.now() - startedMs) / 1_000).toFixed(1)),
  });
  return result;
}

// Past the reporter, so that the table is the last thing on the screen whatever becomes of the tests.
afterAll(() => console.table(rows));

describe.each([5, 4] as const)(`kill test, seed ${seed}, protocol version %i`, (protocolVersion) => {
  test.each([
    ['outgoing', killWhilePublishing],
    ['incoming', killWhileReceiving],
  ] as const)('%s', async (direction, act) => {
    const result = await record(direction, { ...SIZE, protocolVersion }, act);
    expect(result).toMatchObject({
      kills: { cut: 4, 'cut-at-byte': 8, 'cut-twice': 4, broker: 4 },
      received: SIZE.qos1 + SIZE.qos2,
      lost: { 1: 0, 2: 0 },
      repeated: { 2: 0 },
      rejected: [],
    });
  });
});
