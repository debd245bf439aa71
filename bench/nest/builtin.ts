import type { Type } from '@nestjs/common';
import { Transport } from '@nestjs/microservices';
import type { MqttClient } from 'mqtt';
import { startMicroservice, type BenchServer } from './server.js';

export async function start(url: string, controller: Type): Promise<BenchServer> {
  const app = await startMicroservice(controller, { transport: Transport.MQTT, options: { url, protocolVersion: 4 } });
  return {
    subscribe: (filter) => app.unwrap<MqttClient>().subscribeAsync(filter),
    close: () => app.close(),
  };
}
