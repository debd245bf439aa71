import { Controller, Module, type INestMicroservice } from '@nestjs/common';
import { Ctx, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { from, type Observable } from 'rxjs';
import {
  getMqttRuntimeToken,
  InjectMqttClient,
  MqttClient,
  MqttContext,
  MqttEvent,
  MqttModule,
  MqttServer,
  retryThenDeadLetter,
  TopicParam,
} from 'nestjs-rumqtt';
import { MemoryBroker, MqttTestHarness, VirtualClock, type MemoryBrokerOptions } from 'nestjs-rumqtt/testing';
import { describe, expect, it } from 'vitest';

@Controller()
class Plants {
  constructor(@InjectMqttClient() private readonly mqtt: MqttClient) {}

  @MqttEvent('plants/+plant/temperature')
  async record(@Payload() celsius: number, @TopicParam('plant') plant: string): Promise<void> {
    if (celsius > 90) await this.mqtt.publish(`plants/${plant}/alarm`, { celsius }, { qos: 1, retain: true });
  }

  @MqttEvent('refused')
  refuse(): never {
    throw new RpcException('too late');
  }

  @MqttEvent('flaky', retryThenDeadLetter({ attempts: 3, minDelayMs: 10_000, jitter: 'none' }))
  flaky(@Payload() failures: number, @Ctx() context: MqttContext): void {
    if (context.getAttempt() <= failures) throw new RpcException('not yet');
  }

  @MqttEvent('left', { onFailure: { action: 'leave', redeliverAfterMs: 0 } })
  leave(): never {
    throw new RpcException('not now');
  }

  @MqttEvent('json', { codec: 'json' })
  json(): void {
    // Is not called in these tests.
  }

  @MqttEvent('fast', { qos: 0 })
  fast(): void {
    // Has succeeded.
  }

  @MqttEvent('by-hand', { acknowledge: 'manual' })
  byHand(@Ctx() context: MqttContext): void {
    context.reject(0x99);
  }

  @MqttEvent('stuck')
  stuck(): Promise<never> {
    return new Promise(() => undefined);
  }

  @MessagePattern('plants/sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((total, number) => total + number, 0);
  }

  @MessagePattern('plants/count')
  count(@Payload() to: number): Observable<number> {
    return from(Array.from({ length: to }, (_, index) => index + 1));
  }

  @MessagePattern('plants/fail')
  fail(): never {
    throw new RpcException({ code: 'E42' });
  }
}

/** As an application declares it, for a broker that does not exist. */
@Module({
  imports: [
    MqttModule.register({
      url: 'mqtts://plants.invalid',
      clientId: 'plants',
      clean: false,
      requestTimeoutMs: 30_000,
      drainTimeoutMs: 100,
    }),
  ],
  controllers: [Plants],
})
class AppModule {}

interface TestedApp extends AsyncDisposable {
  readonly app: INestMicroservice;
  readonly broker: MemoryBroker;
  readonly harness: MqttTestHarness;
  readonly clock: VirtualClock;
  readonly client: MqttClient;
}

async function startTested(options: MemoryBrokerOptions = {}): Promise<TestedApp> {
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock, guardMs: 500, ...options });
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(getMqttRuntimeToken())
    .useValue(broker.runtime)
    .compile();
  const app = module.createNestMicroservice({ strategy: module.get(MqttServer), logger: false });
  await app.listen();
  const harness = new MqttTestHarness(broker, module.get(MqttServer), { guardMs: 500 });
  return {
    app,
    broker,
    harness,
    clock,
    client: module.get(MqttClient),
    async [Symbol.asyncDispose]() {
      const closing = app.close();
      await clock.advance(2_000);
      await closing;
      await broker.close();
      broker.assertClean();
      expect(clock.pendingTimers).toBe(0);
    },
  };
}

describe.each([5, 4] as const)('the testing kit, protocol version %i', (protocolVersion) => {
  it('delivers to handlers of an application that is configured for another broker, and sees what they publish', async () => {
    await using tested = await startTested({ protocolVersion });

    const delivery = await tested.harness.deliver('plants/7/temperature', 95);

    expect(delivery).toEqual({
      outcome: 'acknowledged',
      reasonCode: 0,
      runs: [
        { pattern: 'plants/+plant/temperature', kind: 'event', attempt: 1, outcome: 'succeeded', error: undefined },
      ],
      attempts: 1,
      deadLetter: undefined,
      undecodable: undefined,
    });
    const alarm = tested.broker.assertPublished('plants/+/alarm', { data: { celsius: 95 }, qos: 1, retain: true });
    expect([alarm.topic, alarm.json, alarm.text, alarm.clientId]).toEqual([
      'plants/7/alarm',
      { celsius: 95 },
      '{"celsius":95}',
      'plants',
    ]);
    await expect(tested.broker.nextPublish('plants/#')).resolves.toBe(alarm);
    await tested.harness.deliver('plants/7/temperature', 20);
    expect(tested.broker.published).toHaveLength(1);
  });

  it('tells of refusals, of messages that nobody handles, and of those that are left', async () => {
    await using tested = await startTested({ protocolVersion });

    const refused = await tested.harness.deliver('refused', 'x');
    expect(refused.outcome).toBe(protocolVersion === 5 ? 'refused' : 'acknowledged');
    expect(refused.reasonCode).toBe(protocolVersion === 5 ? 0x80 : 0);
    expect(refused.runs).toMatchObject([{ pattern: 'refused', outcome: 'failed', error: { message: 'too late' } }]);
    const byHand = await tested.harness.deliver('by-hand');
    expect(byHand.reasonCode).toBe(protocolVersion === 5 ? 0x99 : 0);
    await expect(tested.harness.deliver('nobody', 'x')).resolves.toMatchObject({ outcome: 'unmatched', runs: [] });
    await tested.client.unwrap().subscribe('not/handled', { qos: 1 });
    await expect(tested.harness.deliver('not/handled')).resolves.toMatchObject({ outcome: 'unmatched', reasonCode: 0 });
    await expect(tested.harness.deliver('fast')).resolves.toMatchObject({
      outcome: 'delivered',
      reasonCode: undefined,
    });
    const { undecodable, runs } = await tested.harness.deliver('json', '{');
    expect(undecodable).toMatchObject({ code: 'MQTT_UNDECODABLE', codec: 'json' });
    expect(runs).toEqual([]);
    await expect(tested.harness.deliver('left')).resolves.toMatchObject({ outcome: 'unacknowledged', attempts: 1 });
  });

  it('runs retries on virtual time, to the dead letter', async () => {
    await using tested = await startTested({ protocolVersion });

    const recovered = tested.harness.deliver('flaky', 2);
    await tested.clock.advance(30_000);
    await expect(recovered).resolves.toMatchObject({ outcome: 'acknowledged', attempts: 3 });

    const poisoned = tested.harness.deliver('flaky', 3);
    await tested.clock.advance(10_000);
    tested.broker.assertNothingPublished('dead/#');
    await tested.clock.advance(20_000);
    const { outcome, runs, deadLetter } = await poisoned;
    expect(outcome).toBe('dead-lettered');
    expect(runs.map(({ attempt, outcome: how }) => [attempt, how])).toEqual([
      [1, 'failed'],
      [2, 'failed'],
      [3, 'failed'],
    ]);
    expect(deadLetter?.topic).toBe('dead/flaky');
  });

  it('asks handlers of requests, with values, streams and errors', async () => {
    await using tested = await startTested({ protocolVersion });

    await expect(tested.harness.request('plants/sum', [1, 2, 3])).resolves.toEqual({
      value: 6,
      values: [6],
      error: undefined,
    });
    await expect(tested.harness.request('plants/count', 3)).resolves.toMatchObject({ value: 3, values: [1, 2, 3] });
    await expect(tested.harness.request('plants/fail', 'x')).resolves.toMatchObject({
      values: [],
      error: { code: 'E42' },
    });
    await expect(tested.client.request('plants/sum', [4])).resolves.toBe(4);
  });
});

describe('the testing kit', () => {
  it('lets a request of the application time out on virtual time', async () => {
    await using tested = await startTested({ protocolVersion: 4 });

    const request = tested.client.request('nobody', 1).catch((error: unknown) => error);
    await tested.clock.advance(30_000);
    await expect(request).resolves.toMatchObject({ code: 'MQTT_TIMEOUT' });
  });

  it('takes the broker away and brings it back', async () => {
    await using tested = await startTested();

    tested.broker.down();
    tested.broker.cut();
    await tested.clock.settle();
    const published = tested.client.publish('meanwhile', 1, { qos: 1 });
    const offline = tested.broker.publish('plants/7/temperature', 99);
    await tested.clock.advance(5_000);
    tested.broker.assertNothingPublished();
    tested.broker.up();
    await tested.clock.advance(120_000);

    await published;
    await tested.harness.idle();
    tested.broker.assertPublished('meanwhile', { data: 1 });
    tested.broker.assertPublished('plants/7/alarm');
    expect(offline).toMatchObject([{ clientId: 'plants', qos: 1, reasonCode: 0 }]);
  });

  it('says what is missing: in assertions, and when something takes too long', async () => {
    await using tested = await startTested();
    await tested.client.publish('plants/1/alarm', { celsius: 91 });

    expect(() => tested.broker.assertPublished('plants/+/alarm', { data: { celsius: 92 } })).toThrow(
      'nothing was published to "plants/+/alarm" as { data: { celsius: 92 } }. Published:\n  "plants/1/alarm" qos 0: {"celsius":91}',
    );
    expect(() => tested.broker.assertNothingPublished('plants/#')).toThrow('1 messages were published to "plants/#"');
    await expect(tested.broker.nextPublish('never')).rejects.toThrow('nothing was published to "never" within 500 ms');
    await expect(tested.harness.deliver('flaky', 9)).rejects.toThrow('advance the clock while you wait');
    await expect(tested.harness.deliver('stuck')).rejects.toThrow('handler runs are not done after 500 ms');
    await expect(tested.harness.request('nobody', 1)).rejects.toThrow('no reply to "nobody" within 500 ms');
  });
});
