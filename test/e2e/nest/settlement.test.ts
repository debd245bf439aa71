import { Controller } from '@nestjs/common';
import { Ctx, Payload, RpcException } from '@nestjs/microservices';
import { leaveFailures, MqttContext, MqttEvent, retryThenDeadLetter, type MqttModuleOptions } from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { expectEventually, Latch, onEveryBroker, startMicroservice, TestDevice, type TestBroker } from './support.js';

let calls: unknown[] = [];
let isBroken = true;
let latch = new Latch();

function reset(): void {
  calls = [];
  isBroken = true;
  latch = new Latch();
}

@Controller()
class Poisoned {
  @MqttEvent('orders/+', retryThenDeadLetter({ attempts: 3, minDelayMs: 1, deadLetter: 'dead/{topic}' }))
  order(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    calls.push([data, context.getAttempt()]);
    if (data === 'poison') throw new RpcException('cannot be handled');
  }
}

@Controller()
class Choosy {
  @MqttEvent(
    'choosy',
    retryThenDeadLetter({
      attempts: 2,
      minDelayMs: 1,
      when: (error) => !(typeof error === 'object' && error !== null && 'code' in error && error.code === 'INVALID'),
    }),
  )
  handle(@Payload() data: unknown): void {
    calls.push(data);
    if (data === 'invalid') throw new RpcException({ code: 'INVALID' });
    throw new Error('away');
  }
}

@Controller()
class Leaving {
  @MqttEvent('leave', leaveFailures({ redeliverAfterMs: 1_000 }))
  handle(@Payload() data: unknown): void {
    calls.push(data);
    if (isBroken) throw new RpcException('not now');
  }
}

@Controller()
class Ordered {
  @MqttEvent('devices/+/state', { ordering: 'topic', retry: { attempts: 10, minDelayMs: 1 } })
  async state(@Payload() data: number, @Ctx() context: MqttContext): Promise<void> {
    await new Promise(setImmediate);
    // Every third message needs a second attempt, and must not be overtaken meanwhile.
    if (data % 3 === 0 && context.getAttempt() === 1) throw new RpcException('again');
    calls.push([context.getTopic(), data]);
  }
}

@Controller()
class ByHand {
  @MqttEvent('hand', { acknowledge: 'manual' })
  handle(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    calls.push([data, context.getAttempt()]);
    if (context.getAttempt() === 1) context.retry({ delayMs: 1 });
    else if (data === 'bad') context.reject(0x99);
    else context.acknowledge();
  }
}

@Controller()
class Slow {
  @MqttEvent('slow/+')
  async handle(@Payload() data: unknown): Promise<void> {
    calls.push(data);
    await latch.opened;
  }
}

@Controller()
class Waiting {
  @MqttEvent('wait', { retry: { attempts: 5, minDelayMs: 3_600_000, jitter: 'none' } })
  handle(@Payload() data: unknown): void {
    calls.push(data);
    if (isBroken) throw new RpcException('later');
  }
}

onEveryBroker((broker) => {
  it('tries a poison message again, gives it to the dead letter topic, and goes on', async () => {
    reset();
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('dead/#', { qos: 1 });
    await using service = await startMicroservice(broker, { controllers: [Poisoned], options: { receiveMaximum: 1 } });

    for (const data of ['poison', 'fine']) await service.client.publish('orders/7', data, { qos: 1 });

    await expectEventually(
      () => calls,
      [
        ['poison', 1],
        ['poison', 2],
        ['poison', 3],
        ['fine', 1],
      ],
    );
    await expectEventually(() => device.received.length, 1);
    const [letter] = device.received;
    expect(letter!.topic).toBe('dead/orders/7');
    const expected = { handler: 'orders/+', error: 'cannot be handled' };
    if (broker.protocolVersion === 5) {
      expect(letter!.payload.toString()).toBe('poison');
      expect(letter!.properties?.userProperties).toMatchObject({
        'dead-letter-topic': 'orders/7',
        'dead-letter-handler': expected.handler,
        'dead-letter-error': expected.error,
        'dead-letter-attempts': '3',
      });
    } else {
      expect(JSON.parse(letter!.payload.toString())).toMatchObject({
        ...expected,
        topic: 'orders/7',
        attempts: 3,
        payload: 'poison',
      });
    }
    await expectEventually(() => service.client.unwrap().stats().unsettled, 0);
    expect(service.server.stats()).toMatchObject({ failed: 1, retried: 2, deadLettered: 1 });
  });

  it('tries again only what is worth it', async () => {
    reset();
    await using service = await startMicroservice(broker, { controllers: [Choosy] });

    for (const data of ['invalid', 'fine']) await service.client.publish('choosy', data, { qos: 1 });

    await expectEventually(() => service.server.stats().deadLettered, 2);
    expect(calls.filter((data) => data === 'invalid')).toHaveLength(1);
    expect(calls).toHaveLength(3);
    expect(service.server.stats()).toMatchObject({ failed: 2, retried: 1 });
  });

  it('gets a message again that it left, on the connection that it makes for that', async () => {
    reset();
    const options = { clientId: `leaves-${Math.random()}`, clean: false, sessionExpirySeconds: 60 };
    await using service = await startMicroservice(broker, { controllers: [Leaving], options });

    await service.client.publish('leave', 'x', { qos: 1 });
    await expectEventually(() => service.server.stats().left, 1);
    isBroken = false;

    await expectEventually(() => calls, ['x', 'x']);
    await expectEventually(() => service.client.unwrap().stats().unsettled, 0);
    expect(service.client.unwrap().stats().connections).toBe(2);
  });

  it('handles the messages of a topic in order, retries included, and topics side by side', async () => {
    reset();
    await using service = await startMicroservice(broker, {
      controllers: [Ordered],
      options: { serverConcurrency: 8 },
    });

    const topics = ['a', 'b', 'c', 'd'].map((device) => `devices/${device}/state`);
    for (let data = 0; data < 20; data++) {
      await Promise.all(topics.map((topic) => service.client.publish(topic, data, { qos: 1 })));
    }

    await expectEventually(() => calls.length, 80);
    for (const topic of topics) {
      expect((calls as [string, number][]).filter(([of]) => of === topic).map(([, data]) => data)).toEqual(
        Array.from({ length: 20 }, (_, index) => index),
      );
    }
  });

  it('settles by hand: again, refused, acknowledged', async () => {
    reset();
    await using service = await startMicroservice(broker, { controllers: [ByHand] });

    for (const data of ['bad', 'good']) await service.client.publish('hand', data, { qos: 1 });

    await expectEventually(() => calls.length, 4);
    await expectEventually(() => service.client.unwrap().stats().unsettled, 0);
    expect(service.server.stats()).toMatchObject({ running: 0, retried: 2, rejected: 1, failed: 0 });
  });

  it('leaves the backlog to the broker when the server is at its limit (N-D2)', async () => {
    reset();
    // Mosquitto 2.0.11 exceeds Receive Maximum, which costs one connection: a kept session brings everything again.
    const session = { clientId: `limited-${Math.random()}`, clean: false, sessionExpirySeconds: 60 };
    const options = { ...session, serverConcurrency: 2, receiveMaximum: 4 };
    await using service = await startMicroservice(broker, { controllers: [Slow], options });
    await using device = await TestDevice.connect(broker);
    for (let data = 0; data < 50; data++) await device.mqtt.publishAsync(`slow/${data}`, String(data), { qos: 1 });
    await expectEventually(() => service.client.unwrap().stats().unsettled, 4);

    expect(calls).toHaveLength(2);
    latch.open();

    await expectEventually(() => new Set(calls).size, 50);
    await expectEventually(() => service.server.stats().running, 0);
  });

  it('does not wait at shutdown for a retry that comes later: the next service gets the message', async () => {
    reset();
    const options: MqttModuleOptions = { clientId: `waits-${Math.random()}`, clean: false, sessionExpirySeconds: 60 };
    const service = await startMicroservice(broker, { controllers: [Waiting], options });
    await service.client.publish('wait', 'x', { qos: 1 });
    await expectEventually(() => service.server.stats().waitingRetries, 1);

    await service.app.close();

    expect(service.server.stats()).toMatchObject({ waitingRetries: 0, left: 1, running: 0 });
    expect(service.log.of('warn', 'MqttServer')).toEqual(['1 messages are left to the broker']);
    isBroken = false;
    await using _next = await startMicroservice(broker, { controllers: [Waiting], options });
    await expectEventually(() => calls, ['x', 'x']);
  });
});

describe('options that cannot work', () => {
  it.each([
    [leaveFailures(), /onFailure is 'leave', expected a session that outlives its connection/],
    [{ retry: { attempts: 0 } }, /retry\.attempts is 0, expected an integer from 1 to 1000/],
    [{ serverConcurrency: 0 }, /serverConcurrency is 0, expected a whole number from 1 to 65535/],
    [{ deadLetter: 'dead/+' }, /deadLetter\.topic is 'dead\/\+', expected a topic without wildcards/],
  ])('stop the application from starting: %j', async (options, message) => {
    const aedes = await AedesBroker.start();
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    await expect(startMicroservice(broker, { controllers: [Slow], options })).rejects.toThrow(message);
    await aedes.stop();
  });
});
