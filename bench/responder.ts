/** The other end of the request rows: a Nest microservice that answers until its parent goes. */
import 'reflect-metadata';
import { requestController } from './nest/controllers.js';
import type { NestModule } from './nest/nest.js';
import type { TaskOf } from './tasks.js';

const task = JSON.parse(process.argv[2]!) as TaskOf<'requests'>;
const { startServer } = (await import(`./nest/${task.client}.js`)) as NestModule;

process.on('disconnect', () => process.exit());
await startServer({ url: task.url, protocolVersion: task.protocolVersion, qos: task.qos }, requestController());
process.send!('listening');
