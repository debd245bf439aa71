/** One measurement in a fresh process: the task comes as an argument, the result leaves through the channel. */
import 'reflect-metadata';
import type { ClientModule } from './clients/client.js';
import { measureDelay } from './delay.js';
import { measureIdle } from './idle.js';
import { measureLimitPublish, measureLimitReceive } from './limit.js';
import { measureLimitEvents } from './limit-events.js';
import { connectToNobody } from './limit-promises.js';
import { measureLimitRequests } from './limit-requests.js';
import { measureMemory } from './memory.js';
import type { NestModule } from './nest/nest.js';
import { measureOpenRequests, measureOpenRetries } from './open.js';
import { measurePublish } from './publish.js';
import { measureEvents, measureReceive, measureSettlement } from './receive.js';
import { measureRequests } from './requests.js';
import { measureResume } from './resume.js';
import type { Sample, Task } from './tasks.js';

const task = JSON.parse(process.argv[2]!) as Task;

// Loads the one implementation under test and nothing of the others.
const client = async () => (await import(`./clients/${task.client}.js`)) as ClientModule;
const nest = async () => (await import(`./nest/${task.client}.js`)) as NestModule;

async function measure(): Promise<Sample> {
  switch (task.kind) {
    case 'publish':
      if (task.by === 'promise') return measurePublish(connectToNobody, task);
      return task.client === 'limit' ? measureLimitPublish(task) : measurePublish((await client()).connect, task);
    case 'receive':
      return task.client === 'limit' ? measureLimitReceive(task) : measureReceive((await client()).connect, task);
    case 'events':
      return task.client === 'limit' ? measureLimitEvents(task) : measureEvents(await nest(), task);
    case 'settlement':
      return measureSettlement(await nest(), task);
    case 'requests':
      return task.client === 'limit' ? measureLimitRequests(task) : measureRequests(await nest(), task);
    case 'memory':
      return measureMemory(await client(), task);
    case 'delay':
      return measureDelay((await client()).connect, task);
    case 'resume':
      return measureResume(await client(), task);
    case 'idle':
      return measureIdle((await client()).connect, task);
    case 'open-requests':
      return measureOpenRequests(await nest(), task);
    case 'open-retries':
      return measureOpenRetries(await nest(), task);
  }
}

process.send!(await measure(), () => process.exit());
