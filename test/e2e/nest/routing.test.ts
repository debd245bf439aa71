import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { MqttContext, MqttEvent, TopicParam, TopicParams } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, onMqtt5, startMicroservice, TestDevice } from './support.js';

let calls: [handler: string, ...args: unknown[]][] = [];

@Controller()
class Everything {
  @MqttEvent('a/b')
  exact(@Payload() data: unknown): void {
    calls.push(['exact', data]);
  }

  @MqttEvent('a/+')
  plus(@Payload() data: unknown): void {
    calls.push(['plus', data]);
  }

  @MqttEvent('a/#')
  rest(@Payload() data: unknown): void {
    calls.push(['rest', data]);
  }

  @EventPattern('a/b')
  nests(@Payload() data: unknown): void {
    calls.push(['nests', data]);
  }
}

@Controller()
class Parameters {
  @MqttEvent('plants/+plant/sensors/#sensor')
  named(
    @TopicParam('plant') plant: string,
    @TopicParam('sensor') sensor: string,
    @TopicParam(0) first: string,
    @TopicParams() all: Record<string, string>,
  ): void {
    calls.push(['named', plant, sensor, first, { ...all }]);
  }

  @MqttEvent('lines/+/+station')
  positions(@Ctx() context: MqttContext): void {
    calls.push([
      'positions',
      context.getTopicParam(0),
      context.getTopicParam('station'),
      { ...context.getTopicParams() },
    ]);
  }
}

@Controller()
class CrossingFilters {
  @MqttEvent('x/+')
  first(@Payload() data: unknown): void {
    calls.push(['first', data]);
  }

  @MqttEvent('+/y')
  second(@Payload() data: unknown): void {
    calls.push(['second', data]);
  }
}

@Controller()
class TwoQualities {
  @MqttEvent('q/t', { qos: 0 })
  low(@Ctx() context: MqttContext): void {
    calls.push(['low', context.getMessage().qos]);
  }

  @MqttEvent('q/t', { qos: 2 })
  high(@Ctx() context: MqttContext): void {
    calls.push(['high', context.getMessage().qos]);
  }
}

@Controller()
class OddTopics {
  @MqttEvent(['true', '1e3', 'null', '[1]', ' '])
  odd(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    calls.push([context.getTopic(), data, context.getPattern()]);
  }
}

onEveryBroker((broker) => {
  it('runs every handler that matches a topic, each once', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Everything] });
    await using device = await TestDevice.connect(broker);

    await device.mqtt.publishAsync('a/b', '1', { qos: 1 });
    await device.mqtt.publishAsync('a', '2', { qos: 1 });
    await device.mqtt.publishAsync('a/c', '3', { qos: 1 });
    await device.mqtt.publishAsync('a//c', '4', { qos: 1 });
    await device.mqtt.publishAsync('a/b', 'end', { qos: 1 });

    await expectEventually(() => calls.filter(([, data]) => data === 'end').length, 4);
    expect(
      calls
        .filter(([, data]) => data === 1)
        .map(([handler]) => handler)
        .toSorted(),
    ).toEqual(['exact', 'nests', 'plus', 'rest']);
    expect(calls.filter(([, data]) => data === 2)).toEqual([['rest', 2]]);
    expect(
      calls
        .filter(([, data]) => data === 3)
        .map(([handler]) => handler)
        .toSorted(),
    ).toEqual(['plus', 'rest']);
    expect(calls.filter(([, data]) => data === 4)).toEqual([['rest', 4]]);
    expect(service.server.stats().unmatched).toBe(0);
  });

  it('gives handlers the parts of the topic that wildcards stand for, by name and by position', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Parameters] });

    await service.client.publish('plants/7/sensors/roof/north', undefined, { qos: 1 });
    await service.client.publish('lines/3/cutter', undefined, { qos: 1 });

    await expectEventually(
      () => calls.toSorted(([a], [b]) => a.localeCompare(b)),
      [
        ['named', '7', 'roof/north', '7', { plant: '7', sensor: 'roof/north' }],
        ['positions', '3', 'cutter', { 0: '3', station: 'cutter' }],
      ],
    );
  });

  it('subscribes once to a filter of several handlers, with the highest QoS of them', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [TwoQualities] });

    await service.client.publish('q/t', '1', { qos: 2 });

    await expectEventually(
      () => calls.toSorted(([a], [b]) => a.localeCompare(b)),
      [
        ['high', 2],
        ['low', 2],
      ],
    );
  });

  it('takes topics as they are, also where they look like JSON', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [OddTopics] });
    await using device = await TestDevice.connect(broker);

    for (const topic of ['true', '1e3', 'null', '[1]', ' ']) await device.mqtt.publishAsync(topic, 'x', { qos: 1 });

    await expectEventually(
      () => calls,
      ['true', '1e3', 'null', '[1]', ' '].map((topic) => [topic, 'x', topic]),
    );
    expect(service.log.of('error')).toEqual([]);
  });
});

onMqtt5((broker) => {
  it('runs handlers of crossing filters once each, although the broker sends a copy for each filter', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [CrossingFilters] });

    await service.client.publish('x/y', '1', { qos: 1 });
    await service.client.publish('x/1', '2', { qos: 1 });
    await service.client.publish('2/y', '3', { qos: 1 });

    await expectEventually(() => calls.length, 4);
    expect(calls.toSorted(([a], [b]) => a.localeCompare(b))).toEqual([
      ['first', 1],
      ['first', 2],
      ['second', 1],
      ['second', 3],
    ]);
    expect(service.client.unwrap().stats().messagesReceived).toBe(4);
  });
});
