import { Controller, Injectable, Module, type DynamicModule, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  EventLoop,
  getMqttClientToken,
  getMqttEventLoopToken,
  getMqttServerToken,
  getMqttTransportId,
  InjectMqttClient,
  InjectMqttEventLoop,
  InjectMqttServer,
  MqttClient,
  MqttEvent,
  MqttModule,
  MqttServer,
  type MqttModuleOptions,
  type MqttOptionsFactory,
} from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { expectEventually, TestLog } from './support.js';

let calls: unknown[] = [];

@Injectable()
class Settings implements MqttOptionsFactory {
  static url = '';

  async createMqttOptions(): Promise<MqttModuleOptions> {
    return { url: Settings.url, clientId: 'from-settings' };
  }
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

@Injectable()
class User {
  constructor(
    @InjectMqttClient() readonly client: MqttClient,
    @InjectMqttServer() readonly server: MqttServer,
    @InjectMqttEventLoop() readonly loop: EventLoop,
  ) {}
}

@Module({ providers: [User] })
class FeatureModule {}

@Controller()
class TwoBrokers {
  @MqttEvent('t', { name: 'left' })
  left(): void {
    calls.push('left');
  }

  @MqttEvent('t', { name: 'right' })
  right(): void {
    calls.push('right');
  }

  @MqttEvent('t')
  both(): void {
    calls.push('both');
  }
}

async function start(imports: (DynamicModule | Type)[], controllers: Type[] = [], providers: Type[] = []) {
  @Module({ imports, controllers, providers })
  class AppModule {}
  const app = await NestFactory.create(AppModule, { logger: new TestLog(), abortOnError: false });
  return { app, [Symbol.asyncDispose]: () => app.close() };
}

describe('MqttModule', () => {
  it('shares one connection between server, client and event loop of a registration', async () => {
    await using broker = await AedesBroker.start();
    await using started = await start([MqttModule.register({ url: broker.url })], [], [User]);
    started.app.connectMicroservice({
      inject: [MqttServer],
      useFactory: (server: MqttServer) => ({ strategy: server }),
    });
    await started.app.startAllMicroservices();
    await started.app.init();
    const { client, server, loop } = started.app.get(User);

    expect(client).toBeInstanceOf(MqttClient);
    expect(server).toBeInstanceOf(MqttServer);
    expect(client.unwrap()).toBe(loop);
    expect(server.unwrap()).toBe(loop);
    expect(broker.aedes.connectedClients).toBe(1);
  });

  it('connects at bootstrap where only the client is used, and closes with the application', async () => {
    await using broker = await AedesBroker.start();
    const { app } = await start([MqttModule.register({ url: broker.url })]);

    await app.init();
    expect(broker.aedes.connectedClients).toBe(1);
    await app.close();

    await expectEventually(() => broker.aedes.connectedClients, 0);
  });

  it.each([
    ['useFactory', { useFactory: (settings: Settings) => settings.createMqttOptions(), inject: [Settings] }],
    ['useExisting', { useExisting: Settings }],
    ['useClass', { useClass: Settings }],
  ])('takes options from %s', async (_name, source) => {
    await using broker = await AedesBroker.start();
    Settings.url = broker.url;
    await using started = await start([MqttModule.registerAsync({ imports: [SettingsModule], ...source })]);

    await started.app.init();

    expect(started.app.get(EventLoop).negotiated?.clientId).toBe('from-settings');
  });

  it('is seen by modules that do not import it only if it is global', async () => {
    await using broker = await AedesBroker.start();

    await using started = await start([MqttModule.register({ url: broker.url, isGlobal: true }), FeatureModule]);
    expect(started.app.get(User).client).toBeInstanceOf(MqttClient);
    await expect(start([MqttModule.register({ url: broker.url }), FeatureModule])).rejects.toThrow(/MqttClient/);
  });

  it('keeps several registrations apart by name', async () => {
    calls = [];
    await using left = await AedesBroker.start();
    await using right = await AedesBroker.start();
    await using started = await start(
      [
        MqttModule.register({ url: left.url, name: 'left' }),
        MqttModule.registerAsync({ name: 'right', useFactory: () => ({ url: right.url }) }),
      ],
      [TwoBrokers],
    );
    for (const name of ['left', 'right']) {
      started.app.connectMicroservice({
        inject: [getMqttServerToken(name)],
        useFactory: (server: MqttServer) => ({ strategy: server }),
      });
    }
    await started.app.startAllMicroservices();
    await started.app.init();

    await started.app.get<MqttClient>(getMqttClientToken('left')).publish('t', 1, { qos: 1 });
    await expectEventually(() => calls, ['left', 'both']);
    await started.app.get<MqttClient>(getMqttClientToken('right')).publish('t', 1, { qos: 1 });
    await expectEventually(() => calls, ['left', 'both', 'right', 'both']);

    expect(started.app.get<EventLoop>(getMqttEventLoopToken('left')).negotiated?.server).toContain(String(left.port));
    expect(() => started.app.get(MqttClient)).toThrow();
  });

  it('works in a testing module', async () => {
    calls = [];
    await using broker = await AedesBroker.start();
    const module = await Test.createTestingModule({
      imports: [MqttModule.register({ url: broker.url })],
      controllers: [TwoBrokers],
    })
      .setLogger(new TestLog())
      .compile();
    const app = module.createNestApplication();
    app.connectMicroservice({ strategy: app.get(MqttServer) });
    await app.startAllMicroservices();
    await app.init();

    await app.get(MqttClient).publish('t', 1, { qos: 1 });

    await expectEventually(() => calls, ['both']);
    await app.close();
  });

  it('names its classes as tokens and its transports for Nest', () => {
    expect(getMqttClientToken()).toBe(MqttClient);
    expect(getMqttServerToken()).toBe(MqttServer);
    expect(getMqttEventLoopToken()).toBe(EventLoop);
    expect(getMqttTransportId().description).toBe('mqtt');
    expect(getMqttTransportId('left')).toBe(Symbol.for('mqtt:left'));
  });

  it('reports all mistakes in the options, of the event loop and its own', async () => {
    const wrong = { url: 'nowhere', requestTimeoutMs: -1, replyMode: 'x', unknown: 1, inboxPrefix: 'a/+' };

    await expect(start([MqttModule.register(wrong as unknown as MqttModuleOptions)])).rejects.toMatchObject({
      code: 'MQTT_INVALID_OPTIONS',
      issues: expect.arrayContaining(
        ['requestTimeoutMs', 'replyMode', 'inboxPrefix', 'url', 'unknown'].map((option) =>
          expect.objectContaining({ option }),
        ),
      ),
    });
  });

  it('wants exactly one source of asynchronous options', () => {
    expect(() => MqttModule.registerAsync({})).toThrow(/exactly one/);
    expect(() => MqttModule.registerAsync({ useClass: Settings, useFactory: () => ({}) })).toThrow(/exactly one/);
  });
});

describe('handlers that cannot work', () => {
  const options = { url: 'mqtt://127.0.0.1:1' };

  it.each<[string, Type, string]>([
    ['a malformed filter', handlerOf('a/#/b'), 'only as the last level'],
    ['a wildcard name twice', handlerOf('+a/+a'), '"a" occurs twice'],
    ['an impossible wildcard name', handlerOf('+7'), 'letters, digits'],
    ['a regular expression', handlerOf(/a/ as unknown as string), 'a topic filter'],
    ['an impossible QoS', handlerOf('a', { qos: 3 }), 'qos of the handler for "a" is 3, expected one of 0, 1, 2'],
    ['noLocal on a shared subscription', handlerOf('a', { share: 'g', noLocal: true }), 'MQTT-3.8.3-4'],
    ['a group twice', handlerOf('$share/g/a', { share: 'g' }), 'names its group itself'],
    ['an impossible concurrency', handlerOf('a', { concurrency: 0 }), 'from 1 to 65535'],
  ])('stop the application from starting: %s', async (_name, controller, message) => {
    await using started = await start([MqttModule.register(options)], [controller]);

    started.app.connectMicroservice({
      inject: [MqttServer],
      useFactory: (server: MqttServer) => ({ strategy: server }),
    });

    await expect(started.app.startAllMicroservices()).rejects.toThrow(message);
  });
});

function handlerOf(pattern: string, extras: object = {}): Type {
  @Controller()
  class Impossible {
    @MqttEvent(pattern, extras)
    handle(): void {
      // Never called.
    }
  }
  return Impossible;
}
