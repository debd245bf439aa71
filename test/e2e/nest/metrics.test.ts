import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Counter, Registry } from 'prom-client';
import { MqttEvent, MqttMessage } from 'nestjs-rumqtt';
import { registerMqttMetrics } from 'nestjs-rumqtt/prometheus';
import { expect, it } from 'vitest';
import { eventually, expectEventually, onEveryBroker, startMicroservice, TestDevice } from './support.js';

@Controller()
class Handlers {
  @MqttEvent('plants/+plant/state', { retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 1 } })
  record(@Payload() data: unknown): void {
    if (data === 'bad') throw new Error('broken');
  }

  @MqttMessage('sum')
  sum(@Payload() numbers: number[]): number {
    if (numbers.length === 0) throw new Error('nothing to add');
    return numbers.reduce((a, b) => a + b, 0);
  }
}

/** One value of a scrape. */
async function read(
  registry: Registry,
  name: string,
  labels: Record<string, string> = {},
): Promise<number | undefined> {
  const metric = await registry.getSingleMetric(name)?.get();
  const wanted = Object.entries({ connection: 'default', ...labels });
  return metric?.values.find((value) => wanted.every(([label, expected]) => value.labels[label] === expected))?.value;
}

onEveryBroker((broker) => {
  it('are read from the statistics when they are scraped, with declared patterns as labels and never topics', async () => {
    const registry = new Registry();
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    await using device = await TestDevice.connect(broker);
    const { server, client } = service;
    registerMqttMetrics({ server, client }, { registry });

    for (let i = 0; i < 20; i++) await device.mqtt.publishAsync(`plants/secret-${i}/state`, '"good"', { qos: 1 });
    await device.mqtt.publishAsync('plants/secret-x/state', '"bad"', { qos: 1 });
    await client.request('sum', [1, 2]);
    await client.request('sum', []).catch(() => undefined);

    await expectEventually(() => server.stats().running, 0);
    await expectEventually(
      () => server.handlerStats(),
      [
        expect.objectContaining({
          pattern: 'plants/+plant/state',
          kind: 'event',
          succeeded: 20,
          failed: 1,
          retried: 1,
        }),
        expect.objectContaining({ pattern: 'sum', kind: 'message', succeeded: 1, answeredErrors: 1, failed: 0 }),
      ],
    );
    const runs = (pattern: string, outcome: string) => read(registry, 'mqtt_handler_runs_total', { pattern, outcome });
    expect(await runs('plants/+plant/state', 'succeeded')).toBe(20);
    expect(await runs('plants/+plant/state', 'failed')).toBe(1);
    expect(await runs('sum', 'answered-error')).toBe(1);
    expect(await runs('<unmatched>', 'unmatched')).toBe(0);
    expect(await read(registry, 'mqtt_handler_retries_total', { kind: 'event' })).toBe(1);
    expect(await read(registry, 'mqtt_connected')).toBe(1);
    expect(await read(registry, 'mqtt_connections_total')).toBe(1);
    expect(await read(registry, 'mqtt_messages_received_total')).toBe(client.unwrap().stats().messagesReceived);
    expect(await read(registry, 'mqtt_pending_requests')).toBe(0);

    const text = await registry.metrics();
    expect(text).not.toContain('secret');
    expect(await registry.metrics()).toBe(text);
  });

  it('count messages that no handler matched under a pattern of their own', async () => {
    const registry = new Registry();
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    registerMqttMetrics(service, { registry });
    await service.client.unwrap().subscribe('other/#', { qos: 1 });

    await service.client.publish('other/a', 'x', { qos: 1 });
    await expectEventually(() => service.server.stats().unmatched, 1);

    expect(await read(registry, 'mqtt_handler_runs_total', { pattern: '<unmatched>' })).toBe(1);
  });

  it('measure durations of handlers when asked to, until they are removed', async () => {
    const registry = new Registry();
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    await using unwatched = await startMicroservice(broker, { controllers: [Handlers] });
    const other = new Counter({ name: 'other', help: 'not ours', registers: [registry] });
    const remove = registerMqttMetrics(
      { name: 'first', server: service.server },
      { registry, prefix: 'app_', handlerDurations: [1, 60] },
    );
    const count = () => read(registry, 'app_handler_duration_seconds', { connection: 'first', le: '+Inf' });

    await service.client.publish('plants/1/state', 'good', { qos: 1 });
    await eventually(async () => expect(await count()).toBe(1));
    expect(unwatched.server.stats().handlers).toBe(2);

    remove();
    expect(registry.getMetricsAsArray()).toEqual([other]);
    // Nothing listens any more, so the names are free again.
    registerMqttMetrics(
      { name: 'first', server: service.server },
      { registry, prefix: 'app_', handlerDurations: true },
    )();
  });

  it('forget handlers that have gone, with a scrape', async () => {
    const registry = new Registry();
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    const end = registerMqttMetrics(service, { registry, handlerDurations: true });
    const subscription = await service.server.subscribe('later/7', () => undefined);
    for (const topic of ['later/7', 'plants/1/state']) await service.client.publish(topic, 1, { qos: 1 });
    await eventually(async () =>
      expect(await registry.metrics()).toContain('_count{connection="default",pattern="later/7"'),
    );

    await subscription.unsubscribe();

    const text = await registry.metrics();
    expect(text).not.toContain('later/7');
    expect(text).toContain('_count{connection="default",pattern="plants/+plant/state"');
    end();
  });

  it('refuse a source of nothing, and two of one name', async () => {
    const registry = new Registry();
    await using service = await startMicroservice(broker);

    expect(() => registerMqttMetrics({}, { registry })).toThrow('expected a loop, a server or a client');
    expect(() => registerMqttMetrics([service, service], { registry })).toThrow(
      'expected another name for each source',
    );
    expect(registry.getMetricsAsArray()).toEqual([]);
  });
});
