import { parseArgs } from 'node:util';
import { checkInput, newTally, runCampaign, type Finding, type Tally } from './campaign.js';
import { announced, buffersFor, LARGEST_PACKET_BYTES, measureLarge } from './large.js';
import { minimise } from './minimise.js';
import { readRegression, storeRegression } from './regressions.js';
import { startWatchdog } from './watchdog.js';

const PROGRESS_MS = 15_000;
const KIB = 1_024;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    sessions: { type: 'string', default: '64' },
    seconds: { type: 'string', default: 'Infinity' },
    replay: { type: 'string' },
  },
});
const seed = Number(values.seed);

// A promise of the event loop that nobody hears of is a finding too.
process.on('unhandledRejection', (error) => {
  throw error;
});
if (values.replay === undefined) await campaign();
else await replay(values.replay);

async function replay(file: string): Promise<void> {
  const { title, input } = readRegression(file);
  const failure = await checkInput(input);
  say(`${title}\n${failure === undefined ? 'shows nothing now' : failure.message}`);
  if (failure !== undefined) process.exitCode = 1;
}

async function campaign(): Promise<void> {
  const startedMs = performance.now();
  const lastMs = startedMs + Number(values.seconds) * 1_000;
  const tally = newTally();
  const dog = startWatchdog(seed);
  let saidMs = startedMs;
  const beforeInput = (index: number): boolean => {
    dog.alive(index);
    const nowMs = performance.now();
    if (nowMs - saidMs > PROGRESS_MS) {
      saidMs = nowMs;
      say(`${tally.inputs} inputs, ${Math.round((tally.inputs * 1_000) / (nowMs - startedMs))} per second`);
    }
    return nowMs > lastMs;
  };
  // Stack traces of the violations are most of the cost, and nobody reads them.
  Error.stackTraceLimit = 0;
  const { finding } = await runCampaign(
    {
      seed,
      from: Number(values.from),
      inputs: Number(values.inputs),
      sessionEvery: Number(values.sessions),
      beforeInput,
    },
    tally,
  );
  Error.stackTraceLimit = 20;
  await dog.stop();
  if (finding !== undefined) return reportFinding(finding);
  reportTally(tally, performance.now() - startedMs);
}

async function reportFinding({ input, index, failure }: Finding): Promise<void> {
  say(`\nFOUND at input ${index} of seed ${seed}: ${failure.message}`);
  const smallest = await minimise(input, failure.kind);
  const again = await checkInput(smallest);
  const file = storeRegression(failure.kind, smallest);
  say(
    `\nminimised: ${smallest.bytes.toString('hex')}\n${again === undefined ? 'which shows it no more' : again.message}`,
  );
  say(`\nnpm run fuzz -- --replay ${file}`);
  process.exitCode = 1;
}

function reportTally({ inputs, sessions, packets, bytes, violations }: Tally, tookMs: number): void {
  const rejected = [...violations.values()].reduce((sum, count) => sum + count, 0);
  say(`\n${inputs} inputs of seed ${seed} from ${values.from}, nothing found (${(tookMs / 1_000).toFixed(0)} s)\n`);
  const row = (name: string, value: string | number): void => say(`${String(value).padStart(12)}  ${name}`);
  row('inputs, each whole, in single bytes and in random chunks', inputs);
  row('of these through event loops as well, three each', sessions);
  row('bytes', bytes);
  row('packets decoded, the same as the oracle and mqtt-packet read', packets);
  row('inputs that end in a violation:', rejected);
  for (const [rule, count] of [...violations].toSorted((a, b) => b[1] - a[1])) row(`  ${rule}`, count);
  say('\nlarge packets, ms of CPU per MiB (best of 5):');
  const large = measureLarge();
  for (const { name, chunkBytes, msPerMib } of large) row(`${name}, chunks of ${chunkBytes}`, msPerMib.toFixed(1));
  const ours = large.filter(({ name }) => !name.includes('mqtt-packet'));
  row('the slowest', Math.max(...ours.map(({ msPerMib }) => msPerMib)).toFixed(1));
  say('\na packet announced with 256 MiB, of which 1 MiB comes:');
  const refused = buffersFor(announced(KIB * KIB), 256 * KIB);
  row(
    `bytes of buffers in all, refused with 0x${refused.reasonCode?.toString(16)} (maxPacketBytes 256 KiB)`,
    refused.bytes,
  );
  row('bytes of buffers in all, where it is allowed', buffersFor(announced(KIB * KIB), LARGEST_PACKET_BYTES).bytes);
}
