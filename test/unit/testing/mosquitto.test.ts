import { existsSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { describeWithMosquitto, Mosquitto, mosquittoAvailable } from '../../fixtures/mosquitto.js';
import { RawClient } from './raw-client.js';

afterEach(() => vi.unstubAllEnvs());

async function connected(broker: Mosquitto, fields: object = {}): Promise<RawClient> {
  const client = RawClient.tcp(broker.port);
  client.connect({ clientId: 'keeper', clean: false, ...fields });
  await client.until('connack');
  return client;
}

async function subscribed(broker: Mosquitto): Promise<RawClient> {
  const client = await connected(broker);
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] });
  await client.until('suback');
  return client;
}

it('a missing Mosquitto is an error where brokers are required', () => {
  vi.stubEnv('PATH', '/nowhere');
  vi.stubEnv('MQTT_BROKER_DIRECTORIES', '/nowhere');
  vi.stubEnv('MQTT_REQUIRE_BROKERS', undefined);
  expect(mosquittoAvailable()).toBe(false);
  vi.stubEnv('MQTT_REQUIRE_BROKERS', '1');
  expect(() => mosquittoAvailable()).toThrow('apt-get install mosquitto');
});

describeWithMosquitto('Mosquitto', () => {
  it('serves on a port of its own', async () => {
    await using broker = await Mosquitto.start();
    await using other = await Mosquitto.start();
    expect(broker.port).not.toBe(other.port);
    expect(broker.url).toBe(`mqtt://127.0.0.1:${broker.port}`);
    const client = await subscribed(broker);
    client.publish(2, { topic: 'a' });
    expect(await client.until('publish')).toMatchObject({ topic: 'a', qos: 1 });
  });

  it('passes configuration on', async () => {
    await using broker = await Mosquitto.start({ maxInflightMessages: 3, config: ['max_keepalive 50'] });
    const client = RawClient.tcp(broker.port, 5);
    client.connect({ properties: { receiveMaximum: 100 } });
    expect(await client.until('connack')).toMatchObject({
      properties: { receiveMaximum: 3, serverKeepAlive: 50 },
    });
  });

  it.each([
    ['every-change', 'SIGKILL', true],
    ['on-exit', 'SIGTERM', true],
    ['none', 'SIGTERM', false],
  ] as const)('with persistence %s and %s, keeps sessions over a restart: %s', async (persistence, signal, kept) => {
    await using broker = await Mosquitto.start({ persistence });
    const client = await subscribed(broker);
    const { port, pid } = broker;
    await broker.kill(signal);
    await client.closed();
    await broker.restart();
    expect(broker.port).toBe(port);
    expect(broker.pid).not.toBe(pid);
    expect(await (await connected(broker)).until('connack')).toMatchObject({ sessionPresent: kept });
  });

  it('explains why it did not start', async () => {
    await expect(Mosquitto.start({ config: ['no_such_option 1'] })).rejects.toThrow(/Unknown configuration variable/);
  });

  it('leaves no process and no file behind', async () => {
    const broker = await Mosquitto.start({ persistence: 'on-exit' });
    const { pid, directory } = broker;
    expect(existsSync(directory)).toBe(true);
    await broker.stop();
    expect(existsSync(directory)).toBe(false);
    expect(() => process.kill(pid!, 0)).toThrow('ESRCH');
    await broker.stop();
  });
});
