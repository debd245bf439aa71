import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import {
  MqttArgumentError,
  MqttContext,
  MqttEvent,
  MqttMessage,
  MqttServer,
  type MqttModuleOptions,
} from 'nestjs-rumqtt';
import { firstValueFrom } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, startMicroservice, TestDevice } from './support.js';

let calls: string[] = [];

function record(context: MqttContext, data: unknown): void {
  calls.push(JSON.stringify([context.getPattern(), context.getTopic(), context.getTopicParams(), data]));
}

@Controller()
class Plants {
  @MqttEvent('plants/+plant/#rest')
  below(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    record(context, data);
  }

  @MqttEvent('$share/workers/jobs/+')
  shared(): void {
    // aedes shares nothing: only declared.
  }

  @MqttEvent('plants/+plant/weather', { absolute: true })
  elsewhere(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    record(context, data);
  }

  @MqttEvent({ cmd: 'water' })
  command(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    record(context, data);
  }

  @MqttMessage('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
}

@Controller()
class Failing {
  @MqttEvent('fails/+', { deadLetter: 'dead/{topic}' })
  fails(): void {
    throw new Error('broken');
  }

  @MqttEvent('away/fails', { deadLetter: 'dead/{topic}', absolute: true })
  failsElsewhere(): void {
    throw new Error('broken');
  }

  @MqttEvent('numbers', { codec: 'json', onUndecodable: 'dead-letter' })
  numbers(): void {
    // Gets none.
  }
}

const options: MqttModuleOptions = { topicPrefix: 'site/one' };

async function deviceOn(broker: Parameters<typeof TestDevice.connect>[0], ...filters: string[]): Promise<TestDevice> {
  const device = await TestDevice.connect(broker);
  await device.mqtt.subscribeAsync(filters, { qos: 1 });
  return device;
}

onEveryBroker((broker) => {
  it('comes before the patterns of handlers, which go on as declared', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Plants], options });
    await using device = await TestDevice.connect(broker);

    for (const topic of ['plants/fern/a/b', 'plants/fern/weather', '{"cmd":"water"}']) {
      await device.mqtt.publishAsync(topic, '0', { qos: 1 });
      await device.mqtt.publishAsync(`site/one/${topic}`, '1', { qos: 1 });
    }

    await expectEventually(
      () => calls.toSorted(),
      [
        ['{"cmd":"water"}', 'site/one/{"cmd":"water"}', {}, 1],
        ['plants/+plant/#rest', 'site/one/plants/fern/a/b', { plant: 'fern', rest: 'a/b' }, 1],
        ['plants/+plant/#rest', 'site/one/plants/fern/weather', { plant: 'fern', rest: 'weather' }, 1],
        ['plants/+plant/weather', 'plants/fern/weather', { plant: 'fern' }, 0],
      ]
        .map((call) => JSON.stringify(call))
        .toSorted(),
    );
    expect(service.server.describeHandlers().map(({ pattern, subscription }) => [pattern, subscription])).toEqual([
      ['plants/+plant/#rest', 'site/one/plants/+/#'],
      ['$share/workers/jobs/+', '$share/workers/site/one/jobs/+'],
      ['plants/+plant/weather', 'plants/+/weather'],
      ['{"cmd":"water"}', 'site/one/{"cmd":"water"}'],
      ['sum', 'site/one/sum'],
    ]);
  });

  it('comes before whatever the client publishes, unless that is absolute', async () => {
    await using service = await startMicroservice(broker, { options });
    const { client } = service;
    await using device = await deviceOn(broker, 'site/one/#', 'all/#');

    await client.publish('published', 1, { qos: 1 });
    await (
      await client.enqueue('enqueued', 2, { qos: 1 })
    ).completed;
    await firstValueFrom(client.emit('emitted', 3));
    await firstValueFrom(client.emit({ cmd: 'go' }, 4));
    await client.publish('all/published', 5, { qos: 1, absolute: true });
    await (
      await client.enqueue('all/enqueued', 6, { absolute: true })
    ).completed;

    await expectEventually(
      () => device.received.map(({ topic, payload }) => [topic, JSON.parse(payload.toString())]),
      [
        ['site/one/published', 1],
        ['site/one/enqueued', 2],
        ['site/one/emitted', { pattern: 'site/one/emitted', data: 3 }],
        ['site/one/{"cmd":"go"}', { pattern: 'site/one/{"cmd":"go"}', data: 4 }],
        ['all/published', 5],
        ['all/enqueued', 6],
      ],
    );
  });

  it('is that of requests and their inbox, too', async () => {
    await using _responder = await startMicroservice(broker, { controllers: [Plants], options });
    await using sameSite = await startMicroservice(broker, { options });
    await using anywhere = await startMicroservice(broker);
    await using device = await deviceOn(broker, '+/one/#', 'nestjs-rumqtt/#');

    expect(await sameSite.client.request('sum', [1, 2])).toBe(3);
    expect(await firstValueFrom(sameSite.client.send('sum', [3, 4]))).toBe(7);
    expect(await sameSite.client.request('site/one/sum', [5], { absolute: true })).toBe(5);
    await expectEventually(() => device.received.length, 6);
    expect(device.received.filter(({ topic }) => topic !== 'site/one/sum').map(({ topic }) => topic)).toEqual(
      Array.from({ length: 3 }, () => expect.stringMatching(/^site\/one\/nestjs-rumqtt\/inbox\/./)),
    );
    expect(await anywhere.client.request('site/one/sum', [6])).toBe(6);
  });

  it('is that of dead letters, with the rest of the topic in them', async () => {
    await using _service = await startMicroservice(broker, { controllers: [Failing], options });
    await using device = await deviceOn(broker, 'site/one/dead/#', 'dead/#');

    for (const topic of ['site/one/fails/x', 'away/fails', 'site/one/numbers'])
      await device.mqtt.publishAsync(topic, 'no JSON', { qos: 1 });

    await expectEventually(
      () => device.received.map(({ topic }) => topic).toSorted(),
      ['dead/away/fails', 'site/one/dead/fails/x', 'site/one/dead/numbers'],
    );
  });

  it('is that of presence', async () => {
    await using device = await deviceOn(broker, '+/one/here', 'here');
    {
      await using _relative = await startMicroservice(broker, { options: { ...options, presence: { topic: 'here' } } });
    }
    {
      await using _absolute = await startMicroservice(broker, {
        options: { ...options, presence: { topic: 'here', absolute: true } },
      });
    }
    await expectEventually(
      () => device.received.map(({ topic, payload }) => `${topic} ${payload.toString()}`),
      ['site/one/here online', 'site/one/here offline', 'here online', 'here offline'],
    );
    for (const topic of ['here', 'site/one/here']) await device.mqtt.publishAsync(topic, '', { retain: true });
  });
});

it.each(['a/+', 'a/#', 'a/', '', '$share/g', '$share', 1, 'a\0'])('cannot be %j', (topicPrefix) => {
  expect(() => new MqttServer({ topicPrefix } as MqttModuleOptions)).toThrow(/topicPrefix is .*, expected a topic/);
});

it('does not turn what is no topic into one', async () => {
  const server = new MqttServer(options);
  server.addHandler('', async () => undefined, true);
  server.addHandler('$share/g', async () => undefined, true);
  server.addHandler('a', async () => undefined, true, { absolute: 'yes' });

  expect(() => server.describeHandlers()).toThrow(
    /pattern of .*; pattern of .*; absolute of the handler for "a" is 'yes'/,
  );
});

it('leaves the topics of the broker alone', () => {
  const server = new MqttServer(options);
  server.addHandler('$SYS/broker/#load', async () => undefined, true);

  expect(server.describeHandlers()).toMatchObject([{ subscription: '$SYS/broker/#', pattern: '$SYS/broker/#load' }]);
});

onEveryBroker((broker) => {
  it('is refused a switch that is neither on nor off', async () => {
    await using service = await startMicroservice(broker, { options });
    const wrong = { absolute: 'no' as unknown as boolean };

    await expect(service.client.publish('a', 1, wrong)).rejects.toThrow(MqttArgumentError);
    await expect(service.client.enqueue('a', 1, wrong)).rejects.toThrow(/absolute/);
    await expect(service.client.request('a', 1, wrong)).rejects.toThrow(/absolute/);
    await expect(service.client.publish('', 1)).rejects.toThrow(MqttArgumentError);
  });
});
