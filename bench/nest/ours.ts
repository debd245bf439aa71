import type { Type } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import { MqttClient, MqttServer } from 'nestjs-rumqtt';
import { startMicroservice, type BenchServer, type NestOptions } from './nest.js';

export async function startServer(options: NestOptions, controller: Type): Promise<BenchServer> {
  const { url, protocolVersion, qos, concurrency } = options;
  // Room for the subscriptions of 10 000 handlers at once.
  const requestCapacity = 10_000;
  const server = new MqttServer({ url, protocolVersion, subscribeQos: qos, concurrency, requestCapacity });
  const app = await startMicroservice(controller, { strategy: server });
  return {
    subscribe: (filter, floodQos) => server.unwrap().subscribe(filter, { qos: floodQos }),
    close: () => app.close(),
  };
}

export function createClient({ url, protocolVersion, qos }: NestOptions): ClientProxy {
  return new MqttClient({ url, protocolVersion, requestQos: qos });
}
