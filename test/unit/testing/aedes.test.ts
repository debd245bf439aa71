import { describe, expect, it, vi } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { RawClient } from './raw-client.js';

async function connected(broker: AedesBroker, fields: object = {}): Promise<RawClient> {
  const client = RawClient.tcp(broker.port);
  client.connect({ clientId: 'keeper', clean: false, ...fields });
  await client.until('connack');
  return client;
}

describe('AedesBroker', () => {
  it('delivers messages, and shows them on its instance', async () => {
    await using broker = await AedesBroker.start();
    const topics: string[] = [];
    broker.aedes.on('publish', ({ topic }) => topics.push(topic));
    const client = await connected(broker);
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 1 }] });
    await client.until('suback');
    client.publish(2);
    expect(await client.until('publish')).toMatchObject({ topic: 'a/b', qos: 1 });
    await vi.waitFor(() => expect(topics).toContain('a/b'));
  });

  it('refuses MQTT 5 with return code 1', async () => {
    await using broker = await AedesBroker.start();
    const client = RawClient.tcp(broker.port, 4);
    client.connect({ protocolVersion: 5 });
    client.stream.write(Buffer.alloc(0));
    expect(await client.until('connack')).toMatchObject({ returnCode: 1 });
  });

  it.each([true, false])('restarts on the same port, sessions kept: %s', async (keep) => {
    await using broker = await AedesBroker.start();
    const client = await connected(broker);
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
    await client.until('suback');
    const { port } = broker;
    await broker.restart({ keep });
    await client.closed();
    expect(broker.port).toBe(port);
    const again = await connected(broker);
    expect(await again.until('connack')).toMatchObject({ sessionPresent: keep });
  });

  it('cuts its connections and goes on', async () => {
    await using broker = await AedesBroker.start();
    const client = await connected(broker);
    broker.cut();
    await client.closed();
    expect(client.error?.code).toBe('ECONNRESET');
    await connected(broker);
  });
});
