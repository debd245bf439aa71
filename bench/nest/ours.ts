import type { Type } from '@nestjs/common';
import { MqttServer } from 'nestjs-rumqtt';
import { startMicroservice, type BenchServer } from './server.js';

export async function start(url: string, controller: Type): Promise<BenchServer> {
  const server = new MqttServer({ url, protocolVersion: 4 });
  const app = await startMicroservice(controller, { strategy: server });
  return {
    subscribe: (filter) => server.unwrap().subscribe(filter),
    close: () => app.close(),
  };
}
