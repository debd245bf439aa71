/** The other end of the raw sockets' requests, until its parent goes. */
import { answerLimitRequests } from './limit-requests.js';
import type { TaskOf } from './tasks.js';

process.on('disconnect', () => process.exit());
await answerLimitRequests(JSON.parse(process.argv[2]!) as TaskOf<'requests'>);
process.send!('listening');
