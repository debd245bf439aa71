import { connect as open, connectAsync, type MqttClient } from 'mqtt';
import type { BenchClient, ConnectOptions } from './client.js';

const publishOptions = [{ qos: 0 }, { qos: 1 }, { qos: 2 }] as const;

export async function connect({ url, protocolVersion }: ConnectOptions): Promise<BenchClient> {
  return wrap(await connectAsync(url, { protocolVersion }));
}

export async function offline({ url, protocolVersion }: ConnectOptions): Promise<BenchClient> {
  const client = open(url, { protocolVersion });
  client.on('error', () => {}); // nothing listens there: that is the point
  return wrap(client);
}

function wrap(client: MqttClient): BenchClient {
  return {
    publish: (topic, payload, qos) => client.publishAsync(topic, payload, publishOptions[qos]),
    onMessage: (onMessage) => void client.on('message', onMessage),
    subscribe: (filters, qos) => client.subscribeAsync([...filters], { qos }),
    close: () => client.endAsync(true),
  };
}
