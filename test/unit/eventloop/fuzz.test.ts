import { expect, test, vi } from 'vitest';
import { checkInput, runCampaign } from '../../fuzz/campaign.js';
import { decode } from '../../fuzz/decoding.js';
import { announced, buffersFor, chunksOf, largePackets, LARGEST_PACKET_BYTES, stream } from '../../fuzz/large.js';
import { regressions } from '../../fuzz/regressions.js';

const KIB = 1_024;
const MAX_PACKET_BYTES = 256 * KIB;

// A small part of `npm run fuzz` (docs/fuzzing.md), split so that a failure names a smaller part.
test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'no input depends on chunks, throws, or is read other than by the oracle and mqtt-packet (seed %i)',
  async (seed) => {
    const { stackTraceLimit } = Error;
    // Stack traces of violations are most of the cost, and nobody reads them.
    Error.stackTraceLimit = 0;
    const { finding } = await runCampaign({ seed, from: 0, inputs: 4_000, sessionEvery: 100 }).finally(() => {
      Error.stackTraceLimit = stackTraceLimit;
    });
    expect(finding && `input ${finding.index} of seed ${seed}: ${finding.failure.message}`).toBeUndefined();
  },
);

test.each(regressions())('found once: $title ($file)', async ({ input }) => {
  expect(await checkInput(input)).toBeUndefined();
});

test('a packet announced with 256 MiB costs at most 64 KiB and a 0x95, however much of it comes', () => {
  const { bytes, reasonCode } = buffersFor(announced(1_024 * KIB), MAX_PACKET_BYTES);
  expect(reasonCode).toBe(0x95);
  expect(bytes).toBeLessThanOrEqual(64 * KIB);
});

test('where a packet of 256 MiB is allowed, memory follows what has come and not what was announced', () => {
  const { bytes, reasonCode } = buffersFor(announced(100 * KIB), LARGEST_PACKET_BYTES);
  expect(reasonCode).toBeUndefined();
  // A buffer that doubles: the last one less than twice what has come, those before it as much together.
  expect(bytes).toBeLessThanOrEqual(4 * 100 * KIB);
});

test.each(Object.entries(largePackets))('%s: every byte is copied a fixed number of times', (_name, build) => {
  const copied = vi.spyOn(Buffer.prototype, 'copy');
  for (const size of [64 * KIB, 200 * KIB]) {
    const bytes = stream(build(size));
    for (const chunkBytes of [64, 1_448, 65_536]) {
      copied.mockClear();
      const limits = { maxPacketBytes: 2 * MAX_PACKET_BYTES, topicAliasMaximum: 0 };
      const { error, events } = decode(5, chunksOf(bytes, chunkBytes), limits);
      expect(error).toBeUndefined();
      expect(events).toHaveLength(2);
      const total = copied.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
      expect(total).toBeLessThanOrEqual(4 * bytes.length);
    }
  }
});
