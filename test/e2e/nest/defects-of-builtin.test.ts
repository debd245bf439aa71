import { Controller, Module, type Type } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import {
  getMqttRuntimeToken,
  InjectMqttClient,
  MqttClient,
  MqttEvent,
  MqttModule,
  MqttServer,
  type EventLoop,
  type EventLoopStatus,
  type IncomingMessage,
  type MqttModuleOptions,
} from 'nestjs-rumqtt';
import { MemoryBroker, MqttTestHarness, VirtualClock } from 'nestjs-rumqtt/testing';
import type { Observable } from 'rxjs';
import { expect, expectTypeOf, it } from 'vitest';
import { Latch, TestLog } from './support.js';

// docs/defects-of-builtin.md lists all defects; those whose tests are elsewhere are not repeated here.

interface Tested extends AsyncDisposable {
  readonly broker: MemoryBroker;
  readonly clock: VirtualClock;
  readonly harness: MqttTestHarness;
  readonly client: MqttClient;
  readonly server: MqttServer;
  readonly log: TestLog;
}

async function start(controllers: Type[], options: MqttModuleOptions = {}): Promise<Tested> {
  @Module({ imports: [MqttModule.register(options)], controllers })
  class AppModule {}
  const clock = new VirtualClock();
  const broker = new MemoryBroker({ clock });
  const log = new TestLog();
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(getMqttRuntimeToken())
    .useValue(broker.runtime)
    .compile();
  const server = module.get(MqttServer);
  const app = module.createNestMicroservice({ strategy: server, logger: log });
  await app.listen();
  return {
    broker,
    clock,
    harness: new MqttTestHarness(broker, server),
    client: module.get(MqttClient),
    server,
    log,
    async [Symbol.asyncDispose]() {
      await app.close();
      await broker.close();
      broker.assertClean();
    },
  };
}

let calls: unknown[] = [];

@Controller()
class OneTopicForBoth {
  @EventPattern('both')
  event(@Payload() data: unknown): void {
    calls.push(['event', data]);
  }

  @MessagePattern('both')
  answer(@Payload() data: unknown): string {
    calls.push(['message', data]);
    return 'answer';
  }
}

it('N-D3: an event runs the event handler, and a request is answered by the message handler of the same pattern', async () => {
  await using tested = await start([OneTopicForBoth]);
  calls = [];

  const { runs } = await tested.harness.deliver('both', 'an event');
  expect(runs.map(({ kind }) => kind)).toEqual(['event']);
  expect(calls).toEqual([['event', 'an event']]);

  await expect(tested.harness.request('both', 'a question')).resolves.toMatchObject({ value: 'answer' });
  expect(calls).toContainEqual(['message', 'a question']);
});

@Controller()
class OddFilters {
  @MqttEvent('+first/x')
  named(): void {
    calls.push('named');
  }

  @MqttEvent('$shareX/group/y')
  notShared(): void {
    calls.push('not shared');
  }
}

it('N-D11: only a whole level is a wildcard, only $share/ shares, and what is no filter stops the start', async () => {
  await using tested = await start([OddFilters]);
  calls = [];
  expect(tested.broker.subscriptions).toEqual(['+/x', '$shareX/group/y']);
  await tested.harness.deliver('$shareX/group/y');
  await expect(tested.harness.deliver('y')).resolves.toMatchObject({ outcome: 'unmatched' });
  expect(calls).toEqual(['not shared']);

  @Controller()
  class NoFilter {
    @MqttEvent('a/b+/c')
    never(): void {
      calls.push('never');
    }
  }
  await expect(start([NoFilter])).rejects.toThrow('a/b+/c');
});

it('N-D13: a reply goes to its requester alone, and nobody can guess what it answers', async () => {
  await using tested = await start([OneTopicForBoth], { replyMode: 'private' });

  await Promise.all([tested.client.request('both', 1), tested.client.request('both', 2)]);

  const requests = tested.broker.published.filter(({ topic }) => topic === 'both');
  const inbox = requests[0]?.properties?.responseTopic;
  expect(inbox).toMatch(/^nestjs-rumqtt\/inbox\/[\w-]{22}$/);
  const replies = tested.broker.published.filter(({ topic }) => topic !== 'both');
  expect(replies.map(({ topic, qos }) => [topic, qos])).toEqual([
    [inbox, 1],
    [inbox, 1],
  ]);
  const [one, other] = requests.map(({ properties }) => Buffer.from(properties!.correlationData!));
  expect(one).toHaveLength(16);
  // Successive ids of the built-in client are each other, shifted by one character.
  const inCommon = one!.filter((byte, index) => byte === other![index]).length;
  expect(inCommon).toBeLessThan(8);
});

it('N-D18: what is emitted while offline is sent later, and failures are errors', async () => {
  await using tested = await start([OneTopicForBoth], { requestCapacity: 1, overflow: 'reject' });
  tested.broker.down();
  tested.broker.cut();
  await tested.clock.settle();

  tested.client.emit('later', 'first');
  const error = await new Promise((resolve) => tested.client.emit('later', 'second').subscribe({ error: resolve }));
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code: 'MQTT_QUEUE_FULL' });

  tested.broker.up();
  await tested.clock.advance(120_000);
  tested.broker.assertPublished('later', { data: 'first' });
});

it('N-D25: nothing that users touch is of type any, and a server can be extended', async () => {
  expectTypeOf<MqttServer['status']>().toEqualTypeOf<Observable<EventLoopStatus>>();
  class CountingServer extends MqttServer {
    unmatched = 0;

    constructor(options: MqttModuleOptions) {
      super(options);
      this.on('unmatched', (message) => {
        expectTypeOf(message).toEqualTypeOf<IncomingMessage>();
        this.unmatched++;
      });
    }
  }
  const server = new CountingServer({ url: 'mqtt://localhost' });
  expectTypeOf(server.unwrap()).toEqualTypeOf<EventLoop>();
  expect(server.unmatched).toBe(0);
  await server.close();
});

@Controller()
class Relay {
  static held = new Latch();

  constructor(@InjectMqttClient() private readonly mqtt: MqttClient) {}

  @MqttEvent('held')
  hold(): Promise<void> {
    return Relay.held.opened;
  }

  @MqttEvent('relay')
  async relay(@Payload() data: unknown): Promise<void> {
    await this.mqtt.publish('relayed', data, { qos: 1 });
  }
}

it('N-D26: while a handler takes long, others publish and wait for the acknowledgement, and the connection lives', async () => {
  Relay.held = new Latch();
  await using tested = await start([Relay], { keepAliveSeconds: 1 });

  const held = tested.harness.deliver('held');
  const relayed = tested.harness.deliver('relay', 7);
  await tested.broker.nextPublish('relayed');
  await tested.clock.advance(60_000);

  expect(tested.client.unwrap().stats()).toMatchObject({ connected: true, connections: 1, publishesCompleted: 1 });
  Relay.held.open();
  await expect(Promise.all([held, relayed])).resolves.toMatchObject([
    { outcome: 'acknowledged' },
    { outcome: 'acknowledged' },
  ]);
});
