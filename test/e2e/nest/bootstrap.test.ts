import {
  Controller,
  Injectable,
  type INestApplication,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { MqttClient, MqttEvent, MqttServer } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { freePort } from '../../fixtures/ports.js';
import { AedesBroker } from '../../fixtures/aedes.js';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';
import {
  expectEventually,
  Latch,
  onEveryBroker,
  startMicroservice,
  TestDevice,
  TestLog,
  testModule,
  type TestBroker,
  type TestAppSetup,
} from './support.js';

let order: string[] = [];
let gate = new Latch();

@Injectable()
class Slow implements OnModuleInit, OnApplicationBootstrap {
  async onModuleInit(): Promise<void> {
    order.push('init begins');
    await gate.opened;
    order.push('init ends');
  }

  async onApplicationBootstrap(): Promise<void> {
    order.push('bootstrapped');
  }
}

@Controller()
class Retained {
  @MqttEvent('retained')
  record(): void {
    order.push('handled');
  }
}

const setup: TestAppSetup = { controllers: [Retained], providers: [Slow] };
const connectServer: AsyncMicroserviceOptions = {
  inject: [MqttServer],
  useFactory: (server: MqttServer) => ({ strategy: server }),
};

async function createHybrid(broker: TestBroker, given: TestAppSetup = setup): Promise<INestApplication> {
  const app = await NestFactory.create(testModule(broker, given), { logger: new TestLog(), abortOnError: false });
  app.connectMicroservice(connectServer);
  return app;
}

async function publishRetained(broker: TestBroker): Promise<AsyncDisposable> {
  const device = await TestDevice.connect(broker);
  await device.mqtt.publishAsync('retained', '1', { qos: 1, retain: true });
  return {
    async [Symbol.asyncDispose]() {
      await device.mqtt.publishAsync('retained', '', { qos: 1, retain: true });
      await device[Symbol.asyncDispose]();
    },
  };
}

onEveryBroker((broker) => {
  it('hands over nothing before a hybrid application has bootstrapped', async () => {
    [order, gate] = [[], new Latch()];
    await using _retained = await publishRetained(broker);
    const app = await createHybrid(broker);

    await app.startAllMicroservices();
    const ready = app.init();
    await expectEventually(() => order, ['init begins']);
    // A message that reached the broker now would have reached the handler by the time this is answered.
    await app.get(MqttClient).publish('barrier', undefined, { qos: 1 });
    expect(order).toEqual(['init begins']);
    gate.open();
    await ready;

    await expectEventually(() => order, ['init begins', 'init ends', 'bootstrapped', 'handled']);
    await app.close();
  });

  it('hands over nothing before a microservice has bootstrapped', async () => {
    [order, gate] = [[], new Latch()];
    gate.open();
    await using _retained = await publishRetained(broker);

    await using _service = await startMicroservice(broker, setup);

    await expectEventually(() => order, ['init begins', 'init ends', 'bootstrapped', 'handled']);
  });

  it('has subscribed when listen has resolved', async () => {
    [order, gate] = [[], new Latch()];
    gate.open();
    await using service = await startMicroservice(broker, { controllers: [Retained] });

    await service.client.publish('retained', undefined, { qos: 1 });

    await expectEventually(() => order, ['handled']);
  });

  it('keeps what comes for a kept session until the application has bootstrapped', async () => {
    [order, gate] = [[], new Latch()];
    gate.open();
    const options = { clientId: 'kept', clean: false, sessionExpirySeconds: 60 };
    const first = await startMicroservice(broker, { controllers: [Retained], options });
    await first[Symbol.asyncDispose]();
    await using device = await TestDevice.connect(broker);
    await device.mqtt.publishAsync('retained', '1', { qos: 1 });
    [order, gate] = [[], new Latch()];

    const app = await createHybrid(broker, { ...setup, options });
    await app.startAllMicroservices();
    // The client receives replies already; the message for the handler waits all the same.
    await app
      .get(MqttClient)
      .request('nobody', 1, { timeoutMs: 20 })
      .catch(() => undefined);
    expect(order).toEqual([]);
    gate.open();
    await app.init();

    await expectEventually(() => order, ['init begins', 'init ends', 'bootstrapped', 'handled']);
    await app.close();
  });

  it('works where initialisation of a connected microservice is deferred', async () => {
    [order, gate] = [[], new Latch()];
    gate.open();
    const app = await NestFactory.create(testModule(broker, { controllers: [Retained] }), {
      logger: new TestLog(),
      abortOnError: false,
    });
    app.connectMicroservice(connectServer, { deferInitialization: true });
    await app.startAllMicroservices();
    await app.init();

    await app.get(MqttClient).publish('retained', undefined, { qos: 1 });

    await expectEventually(() => order, ['handled']);
    await app.close();
  });
});

it('reminds of the bootstrap where it never comes', async () => {
  [order, gate] = [[], new Latch()];
  gate.open();
  await using aedes = await AedesBroker.start();
  const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
  const log = new TestLog();
  const app = await NestFactory.create(testModule(broker, setup), { logger: log, abortOnError: false });
  app.connectMicroservice(connectServer);

  await app.startAllMicroservices();

  await expectEventually(
    () => log.of('warn', 'MqttServer'),
    [expect.stringContaining('call app.init() or app.listen() after app.startAllMicroservices()')],
  );
  await app.close();
});

it('ignores what an earlier session subscribed to where it has no handlers, and says so', async () => {
  await using aedes = await AedesBroker.start();
  const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
  const options = { clientId: 'was-a-server', clean: false };
  const before = await startMicroservice(broker, { controllers: [Retained], options });
  await before[Symbol.asyncDispose]();
  await using service = await startMicroservice(broker, { options });
  await service.client.request('nobody', 1, { timeoutMs: 20 }).catch(() => undefined);

  await service.client.publish('retained', undefined, { qos: 1 });

  await expectEventually(
    () => service.log.of('warn', 'MqttConnection'),
    [expect.stringContaining('message on "retained" ignored: this application has no MQTT handlers')],
  );
  await expectEventually(() => service.client.unwrap().stats().unsettled, 0);
});

it('fails to start without the broker, with an error that says so', async () => {
  const broker: TestBroker = { url: `mqtt://127.0.0.1:${await freePort()}`, protocolVersion: 4, copies: 'one' };

  await expect(startMicroservice(broker)).rejects.toMatchObject({ code: 'MQTT_CONNECT_FAILED' });

  const app = await createHybrid(broker, {});
  await expect(app.startAllMicroservices()).rejects.toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
  await app.close();
});

it('starts without the broker under the policy "always", and hands over messages when it has come', async () => {
  [order, gate] = [[], new Latch()];
  gate.open();
  await using broker = await AedesBroker.start();
  await using proxy = await TcpProxy.start(broker.port);
  await proxy.down();
  const away: TestBroker = { url: proxy.url, protocolVersion: 4, copies: 'one' };
  await using service = await startMicroservice(away, {
    controllers: [Retained],
    options: { reconnect: { policy: 'always', minDelayMs: 10, maxDelayMs: 50 } },
  });
  expect(service.log.of('warn', 'MqttConnection').length).toBeGreaterThan(0);
  const published = service.client.publish('retained', undefined, { qos: 1 });

  await proxy.up();

  await published;
  await expectEventually(() => service.log.of('log', 'MqttConnection').length, 1);
  await service.client.publish('retained', undefined, { qos: 1 });
  await expectEventually(() => order.includes('handled'), true);
});
