import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { MqttContext, MqttEvent, MqttMessage } from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { expectEventually, onMosquitto, onMqtt5, startMicroservice, TestDevice, type TestBroker } from './support.js';

let calls: (readonly [handler: string, data: unknown])[] = [];

function record(handler: string, data: unknown): void {
  calls.push([handler, data]);
}

@Controller()
class Workers {
  @MqttEvent('jobs/+job', { share: 'workers' })
  byOption(@Payload() data: unknown): void {
    record('option', data);
  }

  @EventPattern('$share/workers/tasks/+')
  asWritten(@Payload() data: unknown): void {
    record('written', data);
  }
}

@Controller()
class SharedAndPlain {
  @MqttEvent('both', { share: 'g' })
  shared(@Payload() data: unknown): void {
    record('shared', data);
  }

  @MqttEvent('both')
  plain(@Payload() data: unknown): void {
    record('plain', data);
  }
}

@Controller()
class Options {
  @MqttEvent('not-mine', { noLocal: true })
  notMine(@Payload() data: unknown): void {
    record('not-mine', data);
  }

  @MqttEvent('as-published', { retainAsPublished: true })
  asPublished(@Ctx() context: MqttContext): void {
    record('as-published', context.getMessage().retain);
  }

  @MqttEvent('no-retained', { retainHandling: 2 })
  noRetained(@Payload() data: unknown): void {
    record('no-retained', data);
  }

  @MqttEvent('plain')
  plain(@Ctx() context: MqttContext): void {
    record('plain', context.getMessage().retain);
  }

  @MqttEvent('once', { qos: 0 })
  atMostOnce(@Ctx() context: MqttContext): void {
    record('once', context.getMessage().qos);
  }
}

@Controller()
class Guarded {
  @MqttEvent('allowed')
  allowed(@Payload() data: unknown): void {
    record('allowed', data);
  }

  @MqttEvent('secret/#')
  refused(): void {
    // Sees what the other subscription brings.
  }

  @MqttEvent('secret/known')
  known(@Payload() data: unknown): void {
    record('known', data);
  }
}

@Controller()
class Answering {
  @MqttMessage('answer')
  answer(): string {
    return 'yes';
  }
}

@Controller()
class Crossing {
  @MqttEvent(['x/+', '+/y'])
  handle(): void {
    // Only declared.
  }
}

@Controller()
class Thousands {
  @MqttEvent(Array.from({ length: 2_500 }, (_, index) => `many/${index}/+`))
  many(@Payload() data: unknown): void {
    record('many', data);
  }
}

const numbers = Array.from({ length: 10 }, (_, index) => index);

onMosquitto((broker) => {
  it('gives each message of a shared subscription to one service of the group', async () => {
    calls = [];
    await using first = await startMicroservice(broker, { controllers: [Workers] });
    await using _second = await startMicroservice(broker, { controllers: [Workers] });

    for (let i = 0; i < 10; i++) {
      await first.client.publish('jobs/x', i, { qos: 1 });
      await first.client.publish('tasks/x', i, { qos: 1 });
    }
    await expectEventually(() => calls.length, 20);
    await first.client.publish('barrier', undefined, { qos: 1 });

    expect(
      calls
        .filter(named('option'))
        .map(([, data]) => data)
        .toSorted(byValue),
    ).toEqual(numbers);
    expect(
      calls
        .filter(named('written'))
        .map(([, data]) => data)
        .toSorted(byValue),
    ).toEqual(numbers);
  });
});

onMqtt5((broker) => {
  it('keeps a shared and a plain subscription to the same filter apart', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [SharedAndPlain] });

    for (let i = 0; i < 5; i++) await service.client.publish('both', i, { qos: 1 });
    await expectEventually(() => calls.length, 10);
    await service.client.publish('both', 'end', { qos: 1 });
    await expectEventually(() => calls.length, 12);

    expect(calls.filter(named('shared'))).toHaveLength(6);
  });

  it('subscribes with the MQTT 5 options of each handler', async () => {
    calls = [];
    await using device = await TestDevice.connect(broker);
    for (const topic of ['as-published', 'no-retained', 'plain']) {
      await device.mqtt.publishAsync(topic, 'old', { retain: true, qos: 1 });
    }
    await using service = await startMicroservice(broker, { controllers: [Options] });
    await expectEventually(() => calls.length, 2);

    await service.client.publish('not-mine', 'own', { qos: 1 });
    for (const topic of ['not-mine', 'as-published', 'no-retained', 'plain', 'once']) {
      await device.mqtt.publishAsync(topic, 'new', { retain: topic === 'as-published' || topic === 'plain', qos: 1 });
    }

    await expectEventually(
      () => calls,
      [
        ['as-published', true],
        ['plain', true],
        ['not-mine', 'new'],
        ['as-published', true],
        ['no-retained', 'new'],
        ['plain', false],
        ['once', 0],
      ],
    );
  });
});

describe('a broker with access rules', () => {
  it('is asked for each filter that it does not cover by one that it allows, and refusals are logged', async () => {
    calls = [];
    await using aedes = await AedesBroker.start({
      authorizeSubscribe: (_client, subscription, done) =>
        done(null, subscription.topic === 'secret/#' ? null : subscription),
    });
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    await using service = await startMicroservice(broker, { controllers: [Guarded] });
    const refused: unknown[] = [];
    service.server.on('subscription-refused', ({ filter }) => refused.push(filter));

    await service.client.publish('allowed', 1, { qos: 1 });
    await service.client.publish('secret/unknown', 2, { qos: 1 });
    await service.client.publish('secret/known', 3, { qos: 1 });

    await expectEventually(
      () => calls,
      [
        ['allowed', 1],
        ['known', 3],
      ],
    );
    expect(service.log.of('error', 'MqttConnection')).toEqual([
      expect.stringContaining('the broker refused the subscription "secret/#"'),
    ]);
  });

  it('stops the start by its refusals where the options say so, and names all of them', async () => {
    await using aedes = await AedesBroker.start({
      authorizeSubscribe: (_client, subscription, done) =>
        done(null, subscription.topic.startsWith('secret') ? null : subscription),
    });
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    const options = { onSubscriptionRefused: 'fail' } as const;

    await expect(startMicroservice(broker, { controllers: [Guarded], options })).rejects.toMatchObject({
      code: 'MQTT_SUBSCRIPTIONS_REFUSED',
      message: expect.stringMatching(/"secret\/#" .*"secret\/known" .*onSubscriptionRefused: 'report'/),
    });
  });

  it('may refuse the private inbox: a built-in server still answers', async () => {
    await using aedes = await AedesBroker.start({
      authorizeSubscribe: (_client, subscription, done) =>
        done(null, subscription.topic.startsWith('nestjs-rumqtt/') ? null : subscription),
    });
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    await using service = await startMicroservice(broker, { controllers: [Answering] });

    await expect(service.client.request('answer')).resolves.toBe('yes');
    await expect(service.client.request('answer')).resolves.toBe('yes');
  });

  it('fails requests with its refusal where no reply could be received', async () => {
    await using aedes = await AedesBroker.start({
      authorizeSubscribe: (_client, _subscription, done) => done(null, null),
    });
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    await using service = await startMicroservice(broker);

    await expect(service.client.request('answer')).rejects.toMatchObject({
      code: 'MQTT_SUBSCRIBE_REFUSED',
      target: expect.stringContaining('nestjs-rumqtt/inbox/'),
    });
  });
});

it('warns of filters that no MQTT 3.1.1 broker can tell apart', async () => {
  await using aedes = await AedesBroker.start();
  const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };

  await using service = await startMicroservice(broker, { controllers: [Crossing] });

  expect(service.log.of('warn', 'MqttServer')).toEqual([
    expect.stringContaining('"x/+" and "+/y" overlap: a broker that delivers a message once for each of them'),
  ]);
});

function byValue(a: unknown, b: unknown): number {
  return Number(a) - Number(b);
}

function named(handler: string): (call: readonly [string, unknown]) => boolean {
  return ([name]) => name === handler;
}

onMqtt5((broker) => {
  it('subscribes for thousands of handlers, whatever the room for requests', async () => {
    calls = [];
    const options = { requestCapacity: 5 };
    await using service = await startMicroservice(broker, { controllers: [Thousands], options });
    for (const index of [0, 1_234, 2_499]) await service.client.publish(`many/${index}/x`, index, { qos: 1 });
    await expectEventually(() => calls.length, 3);
    expect(calls.map(([, data]) => data)).toEqual([0, 1_234, 2_499]);
  });
});
