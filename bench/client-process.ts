/** One measurement in a fresh process: the task comes as an argument, the result leaves through the channel. */
import 'reflect-metadata';
import type { ClientModule } from './clients/client.js';
import { measureEvents, measurePublish, measureReceive } from './measure.js';
import { measureMemory } from './memory.js';
import type { ServerModule } from './nest/server.js';
import type { Task } from './scenarios.js';

const task = JSON.parse(process.argv[2]!) as Task;

// Loads the one implementation under test and nothing of the others.
const client = async () => (await import(`./clients/${task.client}.js`)) as ClientModule;
const server = async () => (await import(`./nest/${task.client}.js`)) as ServerModule;

async function measure(): Promise<object> {
  switch (task.kind) {
    case 'publish':
      return measurePublish((await client()).connect, task);
    case 'receive':
      return measureReceive((await client()).connect, task);
    case 'events':
      return measureEvents((await server()).start, task);
    case 'memory':
      return measureMemory((await client()).offline, task);
  }
}

process.send!(await measure(), () => process.exit());
