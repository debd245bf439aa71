import { connect as open, connectAsync, type MqttClient } from 'mqtt';
import type { BenchClient } from './client.js';

const publishOptions = [{ qos: 0 }, { qos: 1 }, { qos: 2 }] as const;

export async function connect(url: string): Promise<BenchClient> {
  return wrap(await connectAsync(url, { protocolVersion: 4 }));
}

export async function offline(url: string): Promise<BenchClient> {
  const client = open(url, { protocolVersion: 4 });
  client.on('error', () => {}); // nothing listens there: that is the point
  return wrap(client);
}

function wrap(client: MqttClient): BenchClient {
  return {
    publish: (topic, payload, qos) => client.publishAsync(topic, payload, publishOptions[qos]),
    subscribe(filter, qos, onMessage) {
      client.on('message', onMessage);
      return client.subscribeAsync(filter, { qos });
    },
    close: () => client.endAsync(true),
  };
}
