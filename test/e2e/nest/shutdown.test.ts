import { Controller, Injectable, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { InjectMqttClient, MqttClient, MqttEvent, MqttMessage, MqttServer } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import {
  expectEventually,
  Latch,
  onEveryBroker,
  startMicroservice,
  TestDevice,
  TestLog,
  testModule,
} from './support.js';

let latch = new Latch();
let calls: unknown[] = [];

@Injectable()
class Resource implements OnModuleDestroy, OnApplicationShutdown {
  onModuleDestroy(): void {
    calls.push('destroyed');
  }

  onApplicationShutdown(): void {
    calls.push('resource closed');
  }
}

@Controller()
class Work {
  constructor(@InjectMqttClient() private readonly client: MqttClient) {}

  @MqttEvent('work')
  async work(@Payload() data: unknown): Promise<void> {
    calls.push(['begins', data]);
    await latch.opened;
    calls.push(['ends', data]);
  }

  @MqttEvent('ask')
  async ask(): Promise<void> {
    calls.push('asks');
    await latch.opened;
    calls.push(['answer', await this.client.request('answer', 1)]);
    await this.client.publish('result', 'written', { qos: 1 });
  }

  @MqttEvent('stuck')
  async stuck(): Promise<void> {
    calls.push('stuck');
    await new Promise<never>(() => undefined);
  }
}

@Controller()
class Answering {
  @MqttMessage('answer')
  answer(): string {
    return 'yes';
  }
}

function reset(): void {
  calls = [];
  latch = new Latch();
}

onEveryBroker((broker) => {
  it('lets running handlers finish, whose resources close after them', async () => {
    reset();
    const service = await startMicroservice(broker, { controllers: [Work], providers: [Resource] });
    await service.client.publish('work', 1, { qos: 1 });
    await expectEventually(() => calls, [['begins', 1]]);

    const closed = service.app.close();
    latch.open();
    await closed;

    expect(calls).toEqual([['begins', 1], ['ends', 1], 'destroyed', 'resource closed']);
    expect(service.client.unwrap().status).toBe('closed');
  });

  it('begins no handler any more, and leaves its message to the broker', async () => {
    reset();
    const options = { clientId: 'leaves', clean: false, sessionExpirySeconds: 60 };
    const service = await startMicroservice(broker, { controllers: [Work], options });
    await service.client.publish('work', 1, { qos: 1 });
    await expectEventually(() => calls, [['begins', 1]]);
    const closed = service.app.close();
    await using device = await TestDevice.connect(broker);
    await device.mqtt.publishAsync('work', '2', { qos: 1 });
    await expectEventually(() => service.client.unwrap().stats().messagesReceived, 2);
    latch.open();
    await closed;
    expect(calls).toEqual([
      ['begins', 1],
      ['ends', 1],
    ]);

    await using _next = await startMicroservice(broker, { controllers: [Work], options });

    await expectEventually(() => calls.at(-1), ['ends', 2]);
    expect(calls).toHaveLength(4);
  });

  it('begins no handler that waits for its turn, and leaves its message to the broker', async () => {
    reset();
    const options = { clientId: 'waits', clean: false, sessionExpirySeconds: 60, concurrency: 1 };
    const service = await startMicroservice(broker, { controllers: [Work], options });
    for (const data of [1, 2, 3]) await service.client.publish('work', data, { qos: 1 });
    await expectEventually(() => service.server.stats().running, 3);

    const closed = service.app.close();
    latch.open();
    await closed;
    expect(calls).toEqual([
      ['begins', 1],
      ['ends', 1],
    ]);
    expect(service.server.stats().failed).toBe(0);

    await using _next = await startMicroservice(broker, { controllers: [Work], options });
    await expectEventually(() => calls.at(-1), ['ends', 3]);
    expect(calls).toHaveLength(6);
  });

  it('still gets replies and publishes for handlers that finish', async () => {
    reset();
    await using _answering = await startMicroservice(broker, { controllers: [Answering] });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('result');
    const service = await startMicroservice(broker, { controllers: [Work] });
    await service.client.publish('ask', 1, { qos: 1 });
    await expectEventually(() => calls, ['asks']);

    const closed = service.app.close();
    latch.open();
    await closed;

    expect(calls).toEqual(['asks', ['answer', 'yes']]);
    await expectEventually(() => device.received.map(({ payload }) => payload.toString()), ['written']);
  });

  it('does the same in a hybrid application', async () => {
    reset();
    const app = await NestFactory.create(testModule(broker, { controllers: [Work], providers: [Resource] }), {
      logger: new TestLog(),
      abortOnError: false,
    });
    app.connectMicroservice({ inject: [MqttServer], useFactory: (server: MqttServer) => ({ strategy: server }) });
    await app.startAllMicroservices();
    await app.init();
    await app.get(MqttClient).publish('work', 1, { qos: 1 });
    await expectEventually(() => calls, [['begins', 1]]);

    const closed = app.close();
    await expectEventually(() => calls.at(-1), 'destroyed');
    latch.open();
    await closed;

    expect(calls).toEqual([['begins', 1], 'destroyed', ['ends', 1], 'resource closed']);
    expect(app.get(MqttClient).unwrap().status).toBe('closed');
  });

  it('gives up on handlers that do not end, and says so', async () => {
    reset();
    const service = await startMicroservice(broker, { controllers: [Work], options: { drainTimeoutMs: 50 } });
    await service.client.publish('stuck', 1, { qos: 1 });
    await expectEventually(() => calls, ['stuck']);

    await service.app.close();

    expect(service.log.of('warn', 'MqttServer')).toEqual([expect.stringContaining('1 handlers still run after 50 ms')]);
    expect(service.client.unwrap().status).toBe('closed');
  });

  it('closes once, whoever asks and however often', async () => {
    reset();
    const service = await startMicroservice(broker, { controllers: [Work] });

    await Promise.all([service.server.close(), service.app.close(), service.server.close()]);
    await service.app.close();
    await service.client.close();

    expect(service.client.unwrap().status).toBe('closed');
    await expect(service.client.publish('work')).rejects.toMatchObject({ code: 'MQTT_CLOSED' });
    expect(service.log.of('error')).toEqual([]);
  });

  it('fails requests that are still open', async () => {
    reset();
    const service = await startMicroservice(broker, { controllers: [Answering] });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('slow');
    const request = service.client.request('slow', 1).catch((error: unknown) => error);
    await expectEventually(() => device.received.length, 1);

    await service.app.close();

    await expect(request).resolves.toMatchObject({ code: 'MQTT_CLOSED' });
  });

  it('fails requests that are still open when the event loop is closed behind its back', async () => {
    reset();
    await using service = await startMicroservice(broker, { controllers: [Work] });
    const request = service.client.request('nobody/answers', 1, { qos: 0 }).catch((error: unknown) => error);
    await expectEventually(() => service.client.stats().pendingRequests, 1);

    await service.client.unwrap().shutdown();

    await expect(request).resolves.toMatchObject({ code: 'MQTT_CLOSED' });
  });

  it('stops the transport alone: the client goes on, and handlers receive nothing', async () => {
    reset();
    latch.open();
    await using service = await startMicroservice(broker, { controllers: [Work] });

    await service.server.close();
    await service.client.publish('work', 1, { qos: 1 });
    await service.client.publish('barrier', 1, { qos: 1 });

    expect(calls).toEqual([]);
    expect(service.client.unwrap().status).toBe('connected');
  });
});
