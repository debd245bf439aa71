import type { Type } from '@nestjs/common';
import { ClientProxyFactory, Transport, type ClientProxy, type MqttOptions } from '@nestjs/microservices';
import type { MqttClient } from 'mqtt';
import { startMicroservice, type BenchServer, type NestOptions } from './nest.js';

export async function startServer(options: NestOptions, controller: Type): Promise<BenchServer> {
  const app = await startMicroservice(controller, transport(options));
  return {
    subscribe: (filter, qos) => app.unwrap<MqttClient>().subscribeAsync(filter, { qos }),
    close: () => app.close(),
  };
}

export function createClient(options: NestOptions): ClientProxy {
  return ClientProxyFactory.create(transport(options));
}

function transport({ url, protocolVersion, qos }: NestOptions): MqttOptions {
  return { transport: Transport.MQTT, options: { url, protocolVersion, subscribeOptions: { qos } } };
}
