import { Worker } from 'node:worker_threads';

const HANGING_MS = 60_000;

/** In a thread of its own, since a hang leaves this one no chance to say so. */
const watch = `
const { workerData } = require('node:worker_threads');
const { progress, seed, hangingMs } = workerData;
let seen = -1;
setInterval(() => {
  const index = Atomics.load(progress, 0);
  if (index === seen) {
    require('node:fs').writeSync(2, 'HANG: npm run fuzz -- --seed ' + seed + ' --from ' + Math.max(0, index - 1024) + ' --inputs 1025\\n');
    process.kill(process.pid, 'SIGKILL');
  }
  seen = index;
}, hangingMs);
`;

/** Kills the process when an input takes longer than a minute, and says which. */
export function startWatchdog(seed: number): {
  readonly alive: (index: number) => void;
  readonly stop: () => Promise<number>;
} {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(watch, { eval: true, workerData: { progress, seed, hangingMs: HANGING_MS } });
  return { alive: (index) => void Atomics.store(progress, 0, index), stop: () => worker.terminate() };
}
