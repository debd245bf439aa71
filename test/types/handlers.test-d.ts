import { Injectable, ParseIntPipe } from '@nestjs/common';
import { Ctx, Payload, type CustomTransportStrategy } from '@nestjs/microservices';
import { expectTypeOf } from 'vitest';
import {
  type EventLoop,
  type IncomingMessage,
  type MqttFailurePolicy,
  type MqttPatternFunction,
  type MqttSubscription,
  MqttContext,
  MqttEvent,
  MqttMessage,
  MqttModule,
  MqttServer,
  leaveFailures,
  rejectFailures,
  MqttHandlerTimeoutError,
  retryThenDeadLetter,
  TopicParam,
  TopicParams,
} from 'nestjs-rumqtt';

interface Reading {
  readonly celsius: number;
}

@Injectable()
export class Handlers {
  // Nest 12's own @EventPattern refuses this one.
  @MqttEvent('plants/+plant/sensors/#sensor', { qos: 1 })
  record(@Payload() reading: Reading, @TopicParam('plant') plant: string, @Ctx() context: MqttContext): void {
    expectTypeOf(reading.celsius).toEqualTypeOf<number>();
    expectTypeOf(plant).toEqualTypeOf<string>();
    expectTypeOf(context.getPayload()).toEqualTypeOf<Buffer>();
    expectTypeOf(context.getMessage()).toEqualTypeOf<IncomingMessage>();
    expectTypeOf(context.getTopicParams()).toEqualTypeOf<Readonly<Record<string, string>>>();
    expectTypeOf(context.getArgs()).toEqualTypeOf<[topic: string, message: IncomingMessage]>();
  }

  @MqttMessage('rows/+row')
  async answer(
    @TopicParam('row', ParseIntPipe) row: number,
    @TopicParams() all: Record<string, string>,
  ): Promise<number> {
    return row + Object.keys(all).length;
  }

  @MqttEvent(['a', { cmd: 'b' }, 3], {
    qos: 2,
    share: 'workers',
    noLocal: false,
    retainAsPublished: true,
    retainHandling: 1,
    acknowledge: 'manual',
    concurrency: 4,
    ordering: (message) => message.topic,
    handlerTimeoutMs: 1_000,
    retry: { attempts: 3, jitter: 'none', when: (error) => error instanceof MqttHandlerTimeoutError },
    deadLetter: { topic: 'dead/{topic}', qos: 2 },
    onFailure: { action: 'leave', redeliverAfterMs: 0 },
    name: 'factory',
    absolute: true,
    payloadSchema: { type: 'object' },
  })
  many(): void {
    // Takes nothing.
  }

  // @ts-expect-error no such QoS
  @MqttEvent('a', { qos: 3 })
  wrongQos(): void {
    // Never registered.
  }

  // @ts-expect-error no such mode
  @MqttMessage('a', { acknowledge: 'later' })
  wrongMode(): void {
    // Never registered.
  }

  @MqttMessage('policies', { ...retryThenDeadLetter({ attempts: 3, deadLetter: 'dead' }), qos: 1 })
  policies(@Ctx() context: MqttContext): void {
    expectTypeOf(context.acknowledge).toEqualTypeOf<() => void>();
    expectTypeOf(context.reject).parameter(0).toEqualTypeOf<number | undefined>();
    expectTypeOf(context.getAttempt()).toEqualTypeOf<number>();
    context.retry({ delayMs: 5 });
    // @ts-expect-error an object
    context.retry(5);
  }

  // @ts-expect-error a reason comes with its action
  @MqttEvent('a', { onFailure: { reasonCode: 0x80 } })
  wrongAction(): void {
    // Never registered.
  }

  // @ts-expect-error no such option
  @MqttEvent('a', { retries: 3 })
  unknownOption(): void {
    // Never registered.
  }
}

interface SiteConfig {
  readonly site: string;
}

@Injectable()
export class FromConfiguration {
  @MqttEvent(['fixed', ({ site }: SiteConfig) => `plants/${site}`])
  one(): void {
    // Takes nothing.
  }

  // @ts-expect-error no number
  @MqttMessage((_config: SiteConfig) => 5)
  number(): void {
    // Never registered.
  }

  // @ts-expect-error what the values are has to be said
  @MqttEvent((config) => config.site)
  unknownValues(): void {
    // Never registered.
  }
}

const server = new MqttServer({ url: 'mqtt://localhost', name: 'factory', concurrency: 5 });
expectTypeOf(server).toExtend<CustomTransportStrategy>();
expectTypeOf(server.unwrap()).toEqualTypeOf<EventLoop>();
expectTypeOf(server.transportId).toEqualTypeOf<symbol>();
expectTypeOf(server.stats().deadLettered).toEqualTypeOf<number>();
expectTypeOf(rejectFailures()).toEqualTypeOf<MqttFailurePolicy>();
server.on('unmatched', ({ topic }) => expectTypeOf(topic).toEqualTypeOf<string>());

const subscription = server.subscribe('devices/+id/alarms', (alarm: Reading, context) => {
  expectTypeOf(alarm.celsius).toEqualTypeOf<number>();
  expectTypeOf(context).toEqualTypeOf<MqttContext>();
});
expectTypeOf(subscription).resolves.toEqualTypeOf<MqttSubscription>();
expectTypeOf<MqttSubscription['unsubscribe']>().returns.resolves.toEqualTypeOf<void>();
void server.subscribe({ cmd: 'water' }, (data) => expectTypeOf(data).toEqualTypeOf<unknown>(), {
  ...retryThenDeadLetter(),
  kind: 'message',
  qos: 2,
  share: 'workers',
  signal: AbortSignal.abort(),
  timeoutMs: 1_000,
});
void server.subscribe(
  ({ site }: SiteConfig) => `plants/${site}`,
  async () => 5,
);
// @ts-expect-error no such kind
void server.subscribe('a', () => undefined, { kind: 'both' });
// @ts-expect-error the registration is the server's
void server.subscribe('a', () => undefined, { name: 'factory' });
// @ts-expect-error no handler
void server.subscribe('a');

expectTypeOf<(config: SiteConfig) => string>().toExtend<MqttPatternFunction<SiteConfig>>();
MqttModule.registerAsync({ useFactory: (site: string) => ({ patternValues: { site } }), inject: ['SITE'] });
MqttModule.register();
MqttModule.register({ ...leaveFailures(), ordering: 'topic', serverConcurrency: 64, clean: false, clientId: 'x' });
MqttModule.register({ topicPrefix: 'site/1', presence: { topic: 'here', absolute: true } });
// @ts-expect-error no such order
MqttModule.register({ ordering: 'key' });
MqttModule.register({ url: ['mqtt://a', 'mqtt://b'], name: 'x', isGlobal: true, throttle: 100, subscribeQos: 1 });
MqttModule.registerAsync({ useFactory: (url: string) => ({ url }), inject: ['URL'], imports: [] });
MqttModule.registerAsync({ useFactory: async () => ({ requestTimeoutMs: 5 }) });
// @ts-expect-error no such option
MqttModule.register({ host: 'localhost' });
// @ts-expect-error a client is no options factory
MqttModule.registerAsync({ useClass: Handlers });
