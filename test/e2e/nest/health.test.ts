import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { HealthCheckService, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { EventLoop, getMqttEventLoopToken, MqttEvent, MqttModule, MqttServer } from 'nestjs-rumqtt';
import { MqttHealthIndicator, type MqttHealthOptions } from 'nestjs-rumqtt/terminus';
import { describe, expect, it } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { eventually, TestLog } from './support.js';

/** Terminus 11 has no such status. */
const degraded = 'degraded' in new HealthIndicatorService().check('any') ? 'degraded' : 'up';

@Controller()
class Handlers {
  @MqttEvent('forbidden/+')
  record(): void {
    // The broker refuses the subscription.
  }
}

/** An application with two registrations; handlers belong to the one without a name. */
async function startApp(urls: { readonly first: string; readonly factory: string }, withHandlers = false) {
  const common = {
    reconnect: { policy: 'always', minDelayMs: 10, maxDelayMs: 50 },
    requestCapacity: 10,
    drainTimeoutMs: 0,
  } as const;
  @Module({
    imports: [
      TerminusModule,
      MqttModule.register({ url: urls.first, ...common }),
      MqttModule.register({ url: urls.factory, name: 'factory', ...common }),
    ],
    controllers: withHandlers ? [Handlers] : [],
    providers: [MqttHealthIndicator],
  })
  class TestModule {}
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(TestModule, {
    inject: [MqttServer],
    useFactory: (server: MqttServer) => ({ strategy: server }),
    logger: new TestLog(),
  });
  await app.listen();
  const mqtt = app.get(MqttHealthIndicator);
  return {
    app,
    loop: app.get(EventLoop),
    factory: app.get<EventLoop>(getMqttEventLoopToken('factory')),
    check: (options?: MqttHealthOptions) => mqtt.check('mqtt', options).mqtt,
    checkAll: (options?: MqttHealthOptions) =>
      app
        .get(HealthCheckService)
        .check([() => mqtt.check('mqtt', options), () => mqtt.check('factory', { ...options, name: 'factory' })]),
    [Symbol.asyncDispose]: () => app.close(),
  };
}

describe('the health indicator', () => {
  it('is up while connected, one result for each registration, by its name', async () => {
    await using broker = await AedesBroker.start();
    await using app = await startApp({ first: broker.url, factory: broker.url });

    const result = await app.checkAll();

    expect(result.status).toBe('ok');
    expect(result.details).toMatchObject({
      mqtt: { status: 'up', connection: 'connected', server: broker.url, reasons: [] },
      factory: { status: 'up', connection: 'connected', server: broker.url, reasons: [] },
    });
  });

  it('is degraded when the connection is lost, and down when that lasts', async () => {
    await using broker = await AedesBroker.start();
    await using other = await AedesBroker.start();
    await using app = await startApp({ first: other.url, factory: broker.url });
    const lost = new Promise<void>((resolve) => app.factory.on('disconnected', () => resolve()));

    await broker.stop();
    await lost;
    const soon = await app.checkAll({ degradedForMs: 600_000 });
    const late = await app.checkAll({ degradedForMs: 0 }).catch((error: Error) => error);

    expect(soon.details).toMatchObject({
      mqtt: { status: 'up', reasons: [] },
      factory: {
        status: degraded,
        connection: 'reconnecting',
        server: undefined,
        reasons: [expect.stringMatching(/^no connection for \d+ ms$/)],
      },
    });
    expect(late).toMatchObject({ status: 503, response: { details: { factory: { status: 'down' } } } });
  });

  it('is down while paused, and up again', async () => {
    await using broker = await AedesBroker.start();
    await using app = await startApp({ first: broker.url, factory: broker.url });

    await app.loop.pause();
    expect(app.check()).toMatchObject({ status: 'down', connection: 'paused', reasons: ['paused'] });

    await app.loop.resume();
    expect(app.check()).toMatchObject({ status: 'up', connection: 'connected', reasons: [] });
  });

  it('is degraded when the request queue is nearly full, and says how full', async () => {
    await using broker = await AedesBroker.start();
    await using app = await startApp({ first: broker.url, factory: broker.url });
    await app.loop.pause();
    for (let i = 0; i < 8; i++) app.loop.tryEnqueue('a', 'x');
    await broker.stop();
    void app.loop.resume().catch(() => undefined);
    await eventually(() => expect(app.loop.status).toBe('connecting'));

    expect(app.check({ queueFill: 0.9 })['reasons']).toEqual([expect.stringContaining('no connection')]);
    expect(app.check()).toMatchObject({
      status: degraded,
      queued: 8,
      reasons: [expect.stringContaining('no connection'), 'the request queue is filled to 80 %'],
    });
  });

  it('is degraded when the broker refused a subscription', async () => {
    await using broker = await AedesBroker.start({ authorizeSubscribe: (_client, _sub, done) => done(null, null) });
    await using app = await startApp({ first: broker.url, factory: broker.url }, true);

    await eventually(() =>
      expect(app.check()).toMatchObject({
        status: degraded,
        connection: 'connected',
        reasons: ['1 subscriptions were refused'],
      }),
    );
    expect(app.check({ name: 'factory' }).status).toBe('up');
  });

  it('is down when the loop is closed', async () => {
    await using broker = await AedesBroker.start();
    await using app = await startApp({ first: broker.url, factory: broker.url });
    await app.loop.shutdown();

    expect(app.check()).toMatchObject({ status: 'down', connection: 'closed', reasons: ['closed'] });
  });

  it('tells no credentials', async () => {
    await using broker = await AedesBroker.start();
    const url = broker.url.replace('//', '//device:hunter2@');
    await using app = await startApp({ first: url, factory: url });

    const text = JSON.stringify(await app.checkAll());

    expect(text).not.toMatch(/device|hunter2/);
  });

  it('refuses names that are not registered, and options that cannot be meant', async () => {
    await using broker = await AedesBroker.start();
    await using app = await startApp({ first: broker.url, factory: broker.url });

    expect(() => app.check({ name: 'unknown' })).toThrow('invalid name: "unknown"; expected the name of an MqttModule');
    expect(() => app.check({ degradedForMs: -1 })).toThrow('invalid degradedForMs: -1; expected milliseconds from 0');
    expect(() => app.check({ queueFill: 0 })).toThrow('invalid queueFill: 0; expected above 0 to 1');
  });
});
