import { Controller, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import {
  MqttClient,
  MqttEvent,
  MqttMessage,
  MqttModule,
  MqttServer,
  TopicParam,
  type MqttPatternFunction,
} from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, optionsFor, startMicroservice, TestLog, type TestBroker } from './support.js';

interface SiteConfig {
  readonly site: string;
  readonly password?: string;
}

let seen: string[] = [];

@Controller()
class Sensors {
  @MqttEvent(['sensors/any', (config: SiteConfig) => `sensors/${config.site}/+sensor`])
  read(@TopicParam(0) sensor: string): void {
    seen.push(sensor);
  }

  @MqttMessage(({ site }: SiteConfig) => `${site}/name`)
  name(): string {
    return 'Berlin';
  }
}

const nowhere: TestBroker = { url: 'mqtt://127.0.0.1:1', protocolVersion: 5, copies: 'one' };

onEveryBroker((broker) => {
  it('make patterns of what the registration provides', async () => {
    seen = [];
    const useFactory = async (config: SiteConfig) => ({ ...optionsFor(broker), patternValues: config });
    @Module({
      imports: [MqttModule.registerAsync({ imports: [ConfigModule], inject: ['CONFIG'], useFactory })],
      controllers: [Sensors],
    })
    class AppModule {}
    const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(AppModule, {
      inject: [MqttServer],
      useFactory: (server: MqttServer) => ({ strategy: server }),
      logger: new TestLog(),
    });
    await using _closed = { [Symbol.asyncDispose]: () => app.close() };
    await app.listen();
    const client = app.get(MqttClient);

    await client.publish('sensors/berlin/t1', 1, { qos: 1 });
    expect(await client.request('berlin/name')).toBe('Berlin');
    await expectEventually(() => seen, ['t1']);
    expect(
      app
        .get(MqttServer)
        .describeHandlers()
        .map(({ pattern }) => pattern),
    ).toEqual(['sensors/any', 'sensors/berlin/+sensor', 'berlin/name']);
  });
});

@Module({ providers: [{ provide: 'CONFIG', useValue: { site: 'berlin' } }], exports: ['CONFIG'] })
class ConfigModule {}

function handlerOf(pattern: MqttPatternFunction): Type {
  @Controller()
  class Misbound {
    @MqttEvent(pattern)
    handle(): void {
      // Never called.
    }
  }
  return Misbound;
}

it('that make no filter are told at the start, with those that throw, and show nothing of the values', async () => {
  const controllers = [
    handlerOf((config: SiteConfig) => config.site.toUpperCase()),
    handlerOf((config: SiteConfig) => config as never),
    handlerOf((async () => 'a') as never),
    handlerOf(() => 'a/#/b'),
    handlerOf(() => {
      throw new Error('no such site');
    }),
  ];
  const values: SiteConfig = { password: 'hunter2' } as SiteConfig;

  const error: unknown = await startMicroservice(nowhere, { controllers, options: { patternValues: values } }).catch(
    (reason: unknown) => reason,
  );

  expect(error).toMatchObject({
    code: 'MQTT_INVALID_HANDLERS',
    issues: [
      {
        pattern: expect.stringContaining('config.site.toUpperCase()'),
        value: 'a function that throws',
        expected: expect.stringContaining("reading 'toUpperCase'"),
      },
      { value: 'a function that returns a value of type object' },
      { value: 'a function that returns a promise' },
      { pattern: 'a/#/b', value: "'a/#/b'" },
      { expected: expect.stringContaining('it threw: no such site') },
    ],
  });
  expect(String(error)).not.toContain('hunter2');
});

it('of a registration without values say that there are none', () => {
  const server = new MqttServer({ url: nowhere.url });
  server.addHandler(
    (config: SiteConfig) => config.site,
    async () => undefined,
    true,
  );

  expect(() => server.describeHandlers()).toThrow('the module has no patternValues');
});
