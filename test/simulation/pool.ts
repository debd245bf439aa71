import { Worker } from 'node:worker_threads';
import type { Report } from './worker.js';

/** A seed that takes longer than this hangs: a busy loop that no virtual time can end. */
const HANGS_AFTER_MS = 60_000;

/**
 * Runs seeds in worker threads, each at most once, in no particular order.
 *
 * @param script the compiled worker
 * @param seeds handed out one by one
 * @param report is told of every seed; false ends it
 */
export async function runSeeds(
  script: URL,
  workers: number,
  seeds: Iterator<string>,
  report: (report: Report) => boolean,
): Promise<void> {
  let goesOn = true;
  await Promise.all(Array.from({ length: workers }, () => work()));

  function work(): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(script);
      let watchdog: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(watchdog);
        void worker.terminate().then(() => resolve());
      };
      const next = (): void => {
        clearTimeout(watchdog);
        const { value, done } = goesOn ? seeds.next() : { value: '', done: true };
        if (done) return end();
        watchdog = setTimeout(() => {
          const failure = { invariant: 'nothing hangs', detail: 'the seed never ends', atMs: 0 };
          goesOn =
            report({ seed: value, failure, virtualMs: 0, publishes: 0, messages: 0, connections: 0, packets: 0 }) &&
            goesOn;
          end();
        }, HANGS_AFTER_MS);
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
        worker.postMessage(value);
      };
      worker.on('error', reject);
      worker.on('message', (message: Report) => {
        goesOn = report(message) && goesOn;
        next();
      });
      next();
    });
  }
}

/** The seeds `from`, `from + 1`, … */
export function* seedsFrom(from: number, count: number): Generator<string> {
  for (let seed = from; seed < from + count; seed++) yield String(seed);
}
