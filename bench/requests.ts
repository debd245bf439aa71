import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Logger } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import type { MqttClient } from 'nestjs-rumqtt';
import { latencySample, Stopwatch } from './meter.js';
import { REQUEST_TOPIC } from './nest/controllers.js';
import type { NestModule } from './nest/nest.js';
import type { Sample, TaskOf } from './tasks.js';

/**
 * Nothing was answered for so long: what is open will never be, and a new client takes over. The built-in transport loses
 * count of its subscriptions when requests overlap, and is then deaf for good.
 */
const STALLED_MS = 1_000;
const MOST_CLIENTS = 20;
const NUMBERS = [1, 2, 3, 4, 5];
const SUM = 15;

/** The responder is of the same kind, in a process of its own. */
export async function measureRequests(nest: NestModule, task: TaskOf<'requests'>): Promise<Sample> {
  const responder = fork(fileURLToPath(new URL('./responder.js', import.meta.url)), [JSON.stringify(task)]);
  await once(responder, 'message');
  Logger.overrideLogger(['error']);
  const open = async (): Promise<ClientProxy> => {
    const client = nest.createClient(task);
    await client.connect();
    return client;
  };
  const ask = task.by === 'send' ? send : request;
  await requestMany(open, ask, task.warmUp, task.concurrency);
  const watch = new Stopwatch();
  watch.start();
  const { latenciesMs, lost } = await requestMany(open, ask, task.messages, task.concurrency);
  watch.stop();
  responder.disconnect();
  return { ...watch.sample(latenciesMs.length), ...latencySample(latenciesMs), lost };
}

/** An error is none: the client was closed while the request waited in vain. */
type Ask = (client: ClientProxy, answered: () => void) => void;

const send: Ask = (client, answered) => {
  client.send<number>(REQUEST_TOPIC, NUMBERS).subscribe({ next: assertSum, complete: answered, error: () => {} });
};

const request: Ask = (client, answered) => {
  (client as MqttClient).request<number>(REQUEST_TOPIC, NUMBERS).then(
    (sum) => {
      assertSum(sum);
      answered();
    },
    () => {},
  );
};

function assertSum(sum: number): void {
  if (sum !== SUM) throw new Error(`the sum is ${SUM}, not ${sum}`);
}

interface Answers {
  readonly latenciesMs: number[];
  /** Requests that were never answered. */
  readonly lost: number;
}

async function requestMany(
  open: () => Promise<ClientProxy>,
  ask: Ask,
  requests: number,
  concurrency: number,
): Promise<Answers> {
  const latenciesMs: number[] = [];
  let sent = 0;
  let lost = 0;
  for (let clients = 0; latenciesMs.length + lost < requests && clients < MOST_CLIENTS; clients++) {
    const client = await open();
    await untilStalled(client);
    lost = sent - latenciesMs.length;
    await client.close();
  }
  if (latenciesMs.length === 0) throw new Error(`none of ${sent} requests was answered`);
  return { latenciesMs, lost };

  /** Resolves when nothing more is answered, all or not. */
  function untilStalled(client: ClientProxy): Promise<void> {
    return new Promise((resolve) => {
      let answered = -1;
      const watchdog = setInterval(() => {
        if (answered === latenciesMs.length) finish();
        answered = latenciesMs.length;
      }, STALLED_MS);
      let isOver = false;
      const finish = (): void => {
        isOver = true;
        clearInterval(watchdog);
        resolve();
      };
      const next = (): void => {
        if (sent === requests) return;
        sent++;
        const startMs = performance.now();
        ask(client, () => {
          if (isOver) return; // counted as lost
          latenciesMs.push(performance.now() - startMs);
          next();
          if (latenciesMs.length + lost === requests) finish();
        });
      };
      for (let started = 0; started < concurrency; started++) next();
    });
  }
}
