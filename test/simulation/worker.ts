import { parentPort } from 'node:worker_threads';
import { generateProgram } from './generate.js';
import { simulate, type Outcome } from './simulate.js';

/** What a worker tells of one seed. */
export type Report = Omit<Outcome, 'log'> & { readonly seed: string };

let seed = '';

function tell(report: Report): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  parentPort!.postMessage(report);
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    const failure = { invariant: 'nothing throws', detail: `${event}: ${String(error)}`, atMs: 0 };
    tell({ seed, failure, virtualMs: 0, publishes: 0, messages: 0, connections: 0, packets: 0 });
  });
}

/** Runs the seeds it is given, one message each way. */
parentPort!.on('message', (next: string) => {
  seed = next;
  void simulate(generateProgram(seed)).then(({ log: _log, ...outcome }) => tell({ ...outcome, seed }));
});
