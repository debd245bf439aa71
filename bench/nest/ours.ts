import type { Type } from '@nestjs/common';
import { MqttClient, MqttServer } from 'nestjs-rumqtt';
import { startMicroservice, type BenchServer, type NestOptions } from './nest.js';

export async function startServer(options: NestOptions, controller: Type): Promise<BenchServer> {
  const { url, protocolVersion, qos, settlement, capacity: incomingCapacity } = options;
  // Room for the subscriptions of 10 000 handlers at once.
  const requestCapacity = 10_000;
  const server = new MqttServer({
    url,
    protocolVersion,
    subscribeQos: qos,
    requestCapacity,
    incomingCapacity,
    // Only the number is to be the bound.
    ...(incomingCapacity !== undefined && { incomingCapacityBytes: 2 ** 30 }),
    ...settlement,
  });
  const app = await startMicroservice(controller, { strategy: server });
  return {
    subscribe: (filter, floodQos) => server.unwrap().subscribe(filter, { qos: floodQos }),
    close: () => app.close(),
  };
}

export function createClient({ url, protocolVersion, qos, capacity }: NestOptions): MqttClient {
  return new MqttClient({ url, protocolVersion, requestQos: qos, maxPendingRequests: capacity });
}
