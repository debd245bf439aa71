import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import { Stopwatch } from './meter.js';
import { REQUEST_TOPIC } from './nest/controllers.js';
import type { NestModule } from './nest/nest.js';
import type { Sample, TaskOf } from './tasks.js';

/** Nothing was answered for so long: what is open will never be. The built-in transport loses replies when it unsubscribes. */
const STALLED_MS = 1_000;
const MOST_STALLS = 10;
const NUMBERS = [1, 2, 3, 4, 5];
const SUM = 15;

/** The responder is of the same kind, in a process of its own. */
export async function measureRequests(nest: NestModule, task: TaskOf<'requests'>): Promise<Sample> {
  const responder = fork(fileURLToPath(new URL('./responder.js', import.meta.url)), [JSON.stringify(task)]);
  await once(responder, 'message');
  Logger.overrideLogger(['error']);
  const client = nest.createClient(task);
  await client.connect();
  await requestMany(client, task.warmUp, task.concurrency);
  const watch = new Stopwatch();
  watch.start();
  const { latenciesMs, lost } = await requestMany(client, task.messages, task.concurrency);
  watch.stop();
  await client.close();
  responder.disconnect();
  const { cpuMicros, messagesPerSecond } = watch.sample(latenciesMs.length);
  latenciesMs.sort((a, b) => a - b);
  return {
    cpuMicros: cpuMicros!,
    messagesPerSecond: messagesPerSecond!,
    p50Micros: latenciesMs[latenciesMs.length >> 1]! * 1_000,
    p99Micros: latenciesMs[Math.floor(latenciesMs.length * 0.99)]! * 1_000,
    lost,
  };
}

interface Answers {
  readonly latenciesMs: number[];
  /** Requests that were never answered; others took their places. */
  readonly lost: number;
}

function requestMany(client: ClientProxy, requests: number, concurrency: number): Promise<Answers> {
  return new Promise((resolve, reject) => {
    const latenciesMs: number[] = [];
    let sent = 0;
    let lost = 0;
    let stalls = 0;
    let seen = 0;
    const finishIfDone = (): void => {
      if (latenciesMs.length + lost < requests && stalls < MOST_STALLS) return;
      clearInterval(watchdog);
      if (latenciesMs.length > 0) resolve({ latenciesMs, lost });
      else reject(new Error(`none of ${sent} requests was answered`));
    };
    const watchdog = setInterval(() => {
      if (seen < latenciesMs.length) seen = latenciesMs.length;
      else {
        stalls++;
        lost = sent - latenciesMs.length;
        start();
        finishIfDone();
      }
    }, STALLED_MS);
    const next = (): void => {
      if (sent === requests) return;
      sent++;
      const startMs = performance.now();
      const stallsBefore = stalls;
      client.send<number>(REQUEST_TOPIC, NUMBERS).subscribe({
        next: (sum) => {
          if (sum !== SUM) throw new Error(`the sum is ${SUM}, not ${sum}`);
        },
        complete: () => {
          if (stalls !== stallsBefore) return; // counted as lost
          latenciesMs.push(performance.now() - startMs);
          next();
          finishIfDone();
        },
        error: () => {}, // closed, while it waited in vain
      });
    };
    const start = (): void => {
      for (let started = 0; started < concurrency; started++) next();
    };
    start();
  });
}
