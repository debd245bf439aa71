import { Controller, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Payload, RpcException } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import {
  getMqttRuntimeToken,
  MqttAbortError,
  MqttArgumentError,
  MqttClosedError,
  MqttContext,
  MqttEvent,
  MqttHandlersError,
  MqttModule,
  MqttRefusedError,
  MqttServer,
  MqttTimeoutError,
  type MqttSubscriber,
  type MqttSubscription,
} from 'nestjs-rumqtt';
import { MemoryBroker, MqttTestHarness } from 'nestjs-rumqtt/testing';
import { from } from 'rxjs';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';
import {
  eventually,
  expectEventually,
  Latch,
  onEveryBroker,
  onMosquitto,
  onMqtt5,
  startMicroservice,
  TestDevice,
  type TestApp,
  type TestBroker,
} from './support.js';

let calls: string[] = [];
let barriers = 0;

beforeEach(() => {
  calls = [];
  barriers = 0;
});

@Controller()
class Declared {
  @MqttEvent('plants/+plant/state')
  state(@Payload() data: unknown): void {
    calls.push(`declared ${String(data)}`);
  }

  @MqttEvent('barrier')
  barrier(): void {
    barriers++;
  }
}

@Injectable()
class SubscribesAtBootstrap implements OnApplicationBootstrap {
  subscription: MqttSubscription | undefined;

  constructor(private readonly server: MqttServer) {}

  async onApplicationBootstrap(): Promise<void> {
    this.subscription = await this.server.subscribe('early/+device', recorded('early'));
    const brief = await this.server.subscribe('brief', recorded('brief'));
    await brief.unsubscribe();
  }
}

function recorded(name: string): MqttSubscriber {
  return (data) => void calls.push(`${name} ${String(data)}`);
}

/** Publishes, and waits until all that the broker sends of it has been handled: messages of one publisher keep their order. */
async function publish(
  { client }: TestApp,
  ...messages: (readonly [topic: string, data: unknown])[]
): Promise<string[]> {
  calls = [];
  const seen = barriers;
  for (const [topic, data] of messages) await client.publish(topic, data, { qos: 1 });
  await client.publish('barrier', undefined, { qos: 1 });
  await eventually(() => expect(barriers).toBeGreaterThan(seen));
  return calls.toSorted();
}

onEveryBroker((broker) => {
  it('runs a handler from its subscribe() to its unsubscribe(), as if it were declared', async () => {
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    const contexts: MqttContext[] = [];
    const subscription = await service.server.subscribe('devices/+device/#rest', (data: number, context) => {
      calls.push(`alarm ${data + 1}`);
      contexts.push(context);
    });

    expect(subscription.pattern).toBe('devices/+device/#rest');
    expect(service.server.describeHandlers().map(({ pattern }) => pattern)).toContain('devices/+device/#rest');
    await expect(publish(service, ['devices/7/alarms/fire', 1])).resolves.toEqual(['alarm 2']);
    expect(contexts[0]?.getTopicParams()).toEqual({ device: '7', rest: 'alarms/fire' });
    expect(service.server.handlerStats().at(-1)).toMatchObject({ pattern: 'devices/+device/#rest', succeeded: 1 });

    await Promise.all([subscription.unsubscribe(), subscription.unsubscribe()]);

    await expect(publish(service, ['devices/7/alarms/fire', 2])).resolves.toEqual([]);
    await subscription.unsubscribe();
    expect(service.server.stats()).toMatchObject({ handlers: 2, unmatched: 0 });
  });

  it('runs every handler once, whatever the filters have in common, while some come and go', async () => {
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    const { server } = service;
    const state = ['plants/fern/state', 1] as const;
    const other = ['plants/fern/light', 2] as const;

    const narrow = await server.subscribe('plants/fern/state', recorded('narrow'));
    await expect(publish(service, state, other)).resolves.toEqual(['declared 1', 'narrow 1']);
    const [wide, same] = await Promise.all([
      server.subscribe('plants/#', recorded('wide')),
      server.subscribe('plants/+/state', recorded('same'), { qos: 2 }),
    ]);
    await expect(publish(service, state, other)).resolves.toEqual([
      'declared 1',
      'narrow 1',
      'same 1',
      'wide 1',
      'wide 2',
    ]);
    await narrow.unsubscribe();
    await expect(publish(service, state, other)).resolves.toEqual(['declared 1', 'same 1', 'wide 1', 'wide 2']);
    await wide.unsubscribe();
    await expect(publish(service, state, other)).resolves.toEqual(['declared 1', 'same 1']);
    await same.unsubscribe();
    await expect(publish(service, state, other)).resolves.toEqual(['declared 1']);
    expect(server.stats().unmatched).toBe(0);
  });

  it('keeps its subscriptions over reconnects, and no others', async () => {
    await using proxy = await TcpProxy.start(Number(new URL(broker.url).port));
    await using service = await startMicroservice({ ...broker, url: proxy.url }, { controllers: [Declared] });
    const loop = service.server.unwrap();
    const gone = await service.server.subscribe('gone', recorded('gone'));
    await service.server.subscribe('kept/+', recorded('kept'));
    await gone.unsubscribe();

    await proxy.down();
    await expectEventually(() => loop.negotiated, undefined);
    const waiting = service.server.subscribe('meanwhile', recorded('meanwhile'));
    await proxy.up();
    await waiting;

    // aedes takes publishes while it is at the subscriptions.
    await eventually(async () => {
      const handled = await publish(service, ['gone', 1], ['kept/x', 2], ['meanwhile', 3]);
      expect(handled).toEqual(['kept 2', 'meanwhile 3']);
    });
  });

  it('takes topicPrefix, codecs and everything about settlement as for declared handlers', async () => {
    await using service = await startMicroservice(broker, {
      controllers: [Declared],
      options: { topicPrefix: 'site/one', retry: { attempts: 2, minDelayMs: 1, jitter: 'none' } },
    });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('site/one/dead/#', { qos: 1 });
    await service.server.subscribe('under', recorded('under'), { codec: 'text' });
    await service.server.subscribe('elsewhere', recorded('elsewhere'), { absolute: true });
    await service.server.subscribe(
      'fails',
      (_data, context) => {
        calls.push(`attempt ${context.getAttempt()}`);
        throw new Error('broken');
      },
      { deadLetter: 'dead/{topic}' },
    );
    await service.server.subscribe('by-hand', (_data, context) => context.acknowledge(), { acknowledge: 'manual' });

    for (const topic of ['site/one/under', 'under', 'elsewhere', 'site/one/fails', 'site/one/by-hand']) {
      await device.mqtt.publishAsync(topic, '1', { qos: 1 });
    }

    await expectEventually(() => calls.toSorted(), ['attempt 1', 'attempt 2', 'elsewhere 1', 'under 1']);
    await expectEventually(() => device.received.map(({ topic }) => topic), ['site/one/dead/fails']);
    await expectEventually(() => service.server.unwrap().stats().unsettled, 0);
    expect(service.log.of('error', 'MqttServer')).toEqual([expect.stringContaining('handler of "fails" failed')]);
  });

  it('lets what an unsubscribed handler has begun come to its end, and gives it nothing more', async () => {
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    const latch = new Latch();
    const subscription = await service.server.subscribe(
      'slow',
      async (data) => {
        await latch.opened;
        calls.push(`done ${String(data)}`);
      },
      { concurrency: 1 },
    );
    for (const data of [1, 2]) await service.client.publish('slow', data, { qos: 1 });
    await expectEventually(() => service.server.stats().running, 2);

    await subscription.unsubscribe();
    await service.client.publish('slow', 3, { qos: 1 });
    latch.open();

    await expectEventually(() => calls, ['done 1', 'done 2']);
    await expectEventually(() => service.server.unwrap().stats().unsettled, 0);
    await expect(publish(service)).resolves.toEqual([]);
  });

  it('answers requests with a handler of the kind "message"', async () => {
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    const { server, client } = service;
    const double = await server.subscribe('double', (value: number) => value * 2, { kind: 'message' });
    await server.subscribe('count', () => from([1, 2]), { kind: 'message' });
    await server.subscribe('secret', () => Promise.reject(new Error('password')), { kind: 'message' });
    await server.subscribe(
      'told',
      () => {
        throw new RpcException('too late');
      },
      { kind: 'message' },
    );

    await expect(client.request('double', 21)).resolves.toBe(42);
    const values: unknown[] = [];
    await client.send('count', {}).forEach((value) => values.push(value));
    expect(values).toEqual([1, 2]);
    await expect(client.request('secret')).rejects.toMatchObject({ response: { message: 'Internal server error' } });
    await expect(client.request('told')).rejects.toMatchObject({ response: { message: 'too late' } });

    await server.subscribe('double', () => 0, { kind: 'message' });
    expect(service.log.of('warn', 'MqttServer')).toEqual([
      '2 message handlers for "double": all of them run, the first one answers',
    ]);
    await double.unsubscribe();
    await expect(client.request('double', 21)).resolves.toBe(0);
  });
});

onMosquitto((broker) => {
  it('shares subscriptions', async () => {
    await using first = await startMicroservice(broker, { controllers: [Declared], options: { share: 'workers' } });
    await using second = await startMicroservice(broker, { options: { share: 'workers' } });
    await first.server.subscribe('jobs/+', recorded('first'));
    await second.server.subscribe('jobs/+', recorded('second'));
    await using third = await startMicroservice(broker);
    const alone = await third.server.subscribe('jobs/+', recorded('alone'));
    const jobs = async (): Promise<void> => {
      calls = [];
      for (let i = 0; i < 10; i++) await first.client.publish('jobs/x', i, { qos: 1 });
    };

    await jobs();
    await expectEventually(() => calls.length, 20);
    expect(new Set(calls.filter((call) => !call.startsWith('alone')).map((call) => call.at(-1))).size).toBe(10);

    await alone.unsubscribe();
    await jobs();
    await expectEventually(() => calls.length, 10);
  });
});

onMqtt5((broker) => {
  it('brings retained messages to the new handler alone', async () => {
    await using device = await TestDevice.connect(broker);
    await device.mqtt.publishAsync('plants/fern/state', '"kept"', { retain: true, qos: 1 });
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    await expectEventually(() => calls, ['declared kept']);
    calls = [];

    await service.server.subscribe('plants/fern/+', recorded('late'));
    await service.server.subscribe('plants/+/+', recorded('later'));
    await expectEventually(() => calls, ['late kept', 'later kept']);
    await device.mqtt.publishAsync('plants/fern/state', '', { retain: true, qos: 1 });
  });

  it('tells copies apart for filters that cross, with hundreds that come and go', async () => {
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    const { server } = service;
    const all = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const pattern = ['a/+/c', 'a/b/+', '+/b/c', 'a/#', `a/b/${index}`][index % 5]!;
        return { index, pattern, subscription: await server.subscribe(pattern, recorded(`${index}`)) };
      }),
    );
    const expected = (left: typeof all): string[] =>
      left
        .filter(({ pattern }) => !/\d/.test(pattern))
        .map(({ index }) => `${index} x`)
        .toSorted();

    await expect(publish(service, ['a/b/c', 'x'])).resolves.toEqual(expected(all));
    const leaving = all.filter(({ index }) => index % 3 !== 0 || index % 5 === 1);
    await Promise.all(leaving.map(({ subscription }) => subscription.unsubscribe()));
    await expect(publish(service, ['a/b/c', 'x'])).resolves.toEqual(
      expected(all.filter((one) => !leaving.includes(one))),
    );
  });
});

describe('subscribe() of a broker with access rules', () => {
  it('rejects with the refusal, and leaves no trace', async () => {
    let isAllowed = false;
    await using aedes = await AedesBroker.start({
      authorizeSubscribe: (_client, subscription, done) =>
        done(null, !isAllowed && subscription.topic.startsWith('secret') ? null : subscription),
    });
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    await using service = await startMicroservice(broker, { controllers: [Declared] });
    const { server } = service;

    const refused = server.subscribe('secret/#', recorded('refused'));
    // Covered by one that is refused, it stands for itself.
    const covered = server.subscribe('secret/door', recorded('covered'));
    const joined = server.subscribe('secret/#', recorded('joined'));

    await Promise.all([
      expect(refused).rejects.toMatchObject({ code: 'MQTT_SUBSCRIBE_REFUSED', target: 'secret/#' }),
      expect(covered).rejects.toMatchObject({ target: 'secret/door' }),
      expect(joined).rejects.toBeInstanceOf(MqttRefusedError),
    ]);
    expect(server.stats().handlers).toBe(2);
    expect(server.describeHandlers().map(({ pattern }) => pattern)).toEqual(['plants/+plant/state', 'barrier']);

    isAllowed = true;
    await server.subscribe('secret/#', recorded('allowed'));
    await expect(publish(service, ['secret/door', 1])).resolves.toEqual(['allowed 1']);
  });
});

describe('subscriptions of a broker that is started again', () => {
  it('are made again (aedes)', async () => {
    await using aedes = await AedesBroker.start();
    await expectToSurviveRestart({ url: aedes.url, protocolVersion: 4, copies: 'one' }, () =>
      aedes.restart({ keep: false }),
    );
  });

  describeWithMosquitto('Mosquitto', () => {
    it.each([4, 5] as const)('are made again (MQTT %i)', async (protocolVersion) => {
      await using mosquitto = await Mosquitto.start();
      await expectToSurviveRestart({ url: mosquitto.url, protocolVersion, copies: 'one' }, () => mosquitto.restart());
    });
  });
});

async function expectToSurviveRestart(broker: TestBroker, restart: () => Promise<void>): Promise<void> {
  await using service = await startMicroservice(broker, { controllers: [Declared] });
  const { server } = service;
  await server.subscribe('plants/fern/#', recorded('wide'));
  const gone = await server.subscribe('plants/#', recorded('gone'));
  await gone.unsubscribe();
  await restart();
  await expectEventually(() => server.unwrap().stats().connections, 2);
  // aedes takes publishes while it is at the subscriptions.
  await eventually(async () => {
    const handled = await publish(service, ['plants/fern/state', 1], ['plants/moss/light', 2]);
    expect(handled).toEqual(['declared 1', 'wide 1']);
  });
}

describe('subscribe()', () => {
  async function started(options = {}): Promise<TestApp & { readonly aedes: AedesBroker }> {
    const aedes = await AedesBroker.start();
    onTestFinished(() => aedes.stop());
    const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
    return Object.assign(await startMicroservice(broker, options), { aedes });
  }

  it('in a bootstrap hook adds a handler that is subscribed with the declared ones', async () => {
    await using service = await started({ controllers: [Declared], providers: [SubscribesAtBootstrap] });

    expect(service.server.describeHandlers().map(({ pattern }) => pattern)).toContain('early/+device');
    await expect(publish(service, ['early/7', 1], ['brief', 2])).resolves.toEqual(['early 1']);
    await service.app.get(SubscribesAtBootstrap).subscription!.unsubscribe();
    await expect(publish(service, ['early/7', 1])).resolves.toEqual([]);
  });

  it('makes a server without any handler receive', async () => {
    await using service = await started();

    await service.server.subscribe('barrier', () => void barriers++);
    await service.server.subscribe('only', recorded('only'));

    await expect(publish(service, ['only', 1])).resolves.toEqual(['only 1']);
  });

  it('tells every mistake as the start would', async () => {
    await using service = await started();
    const { server } = service;

    await expect(server.subscribe('a/#/b', recorded('x'), { qos: 3 as never })).rejects.toMatchObject({
      code: 'MQTT_INVALID_HANDLERS',
      issues: [
        { pattern: 'a/#/b', option: 'qos', value: '3' },
        { pattern: 'a/#/b', option: 'pattern' },
      ],
    });
    await expect(server.subscribe(/x/ as never, recorded('x'))).rejects.toBeInstanceOf(MqttHandlersError);
    await expect(server.subscribe('a', 'no function' as never)).rejects.toThrow(MqttArgumentError);
    await expect(server.subscribe('a', recorded('x'), { kind: 'both' as never })).rejects.toThrow(
      'invalid kind: "both"; expected "event" or "message"',
    );
    await expect(server.subscribe('a', recorded('x'), { timeoutMs: -1 })).rejects.toThrow('timeoutMs');
    expect(server.stats().handlers).toBe(0);
    expect(server.describeHandlers()).toEqual([]);
  });

  it('gives up after a time or on a signal, and the handler with it', async () => {
    await using aedes = await AedesBroker.start();
    await using proxy = await TcpProxy.start(aedes.port);
    const asked: string[] = [];
    aedes.aedes.on('subscribe', (filters) => asked.push(...filters.map(({ topic }) => `+${topic}`)));
    aedes.aedes.on('unsubscribe', (filters) => asked.push(...filters.map((topic) => `-${topic}`)));
    await using service = await startMicroservice({ url: proxy.url, protocolVersion: 4, copies: 'one' });
    const { server } = service;
    await proxy.down();
    await expectEventually(() => server.unwrap().negotiated, undefined);
    const abort = new AbortController();

    const timedOut = server.subscribe('a', recorded('x'), { timeoutMs: 20 });
    const aborted = server.subscribe('a', recorded('x'), { signal: abort.signal });
    await expect(timedOut).rejects.toBeInstanceOf(MqttTimeoutError);
    expect(server.stats().handlers).toBe(1);
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toBeInstanceOf(MqttAbortError);
    const late = server.subscribe('b', recorded('x'), { signal: AbortSignal.abort() });
    await expect(late).rejects.toBeInstanceOf(MqttAbortError);
    const last = server.subscribe('c', recorded('x'));
    await proxy.up();
    await last;

    await expectEventually(() => asked.filter((request) => request.endsWith('a')), ['+a', '-a']);
    expect(server.stats().handlers).toBe(1);
  });

  it('takes any number of handlers at once, and one signal for all of them', async () => {
    const warnings: Error[] = [];
    const listener = (warning: Error): void => void warnings.push(warning);
    process.on('warning', listener);
    onTestFinished(() => void process.off('warning', listener));
    await using service = await started({ controllers: [Declared] });
    const { signal } = new AbortController();
    const devices = Array.from({ length: 2_000 }, (_, index) => `devices/${index}/+`);

    const all = await Promise.all(
      devices.map((pattern) => service.server.subscribe(pattern, recorded(pattern), { signal, timeoutMs: 20_000 })),
    );
    await expect(publish(service, ['devices/0/x', 1], ['devices/1999/x', 2])).resolves.toEqual([
      'devices/0/+ 1',
      'devices/1999/+ 2',
    ]);

    await Promise.all(all.map((subscription) => subscription.unsubscribe()));
    expect(service.server.stats().handlers).toBe(2);
    expect(warnings).toEqual([]);
  });

  it('is over when the server closes, and unsubscribing is harmless then', async () => {
    const service = await started({ controllers: [Declared] });
    const subscription = await service.server.subscribe('a', recorded('x'));
    await service.app.close();

    await expect(service.server.subscribe('b', recorded('x'))).rejects.toBeInstanceOf(MqttClosedError);
    await expect(subscription.unsubscribe()).resolves.toBeUndefined();
  });

  it('waits for the first connection under the policy "always"', async () => {
    await using aedes = await AedesBroker.start();
    await using proxy = await TcpProxy.start(aedes.port);
    await proxy.down();
    await using service = await startMicroservice(
      { url: proxy.url, protocolVersion: 4, copies: 'one' },
      { controllers: [Declared], options: { reconnect: { policy: 'always', minDelayMs: 10, maxDelayMs: 50 } } },
    );
    const waiting = service.server.subscribe('plants/#', recorded('late'));
    const timedOut = service.server.subscribe('never', recorded('x'), { timeoutMs: 20 });
    await expect(timedOut).rejects.toBeInstanceOf(MqttTimeoutError);
    await proxy.up();
    await waiting;

    await expect(publish(service, ['plants/fern/state', 1])).resolves.toEqual(['declared 1', 'late 1']);
    expect(service.server.stats().handlers).toBe(3);
  });

  it('says when the server it was called on does not listen', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const server = new MqttServer({ url: 'mqtt://127.0.0.1:1' });
    const warn = vi.spyOn(server['logger'], 'warn').mockReturnValue(undefined);

    await server.subscribe('a', recorded('x'));
    vi.advanceTimersByTime(5_000);

    expect(warn.mock.calls).toEqual([[expect.stringContaining('receives nothing before the server listens')]]);
    await server.close();
  });
});

it('works with the testing kit', async () => {
  const broker = new MemoryBroker();
  const module = await Test.createTestingModule({ imports: [MqttModule.register()], controllers: [Declared] })
    .overrideProvider(getMqttRuntimeToken())
    .useValue(broker.runtime)
    .compile();
  const app = module.createNestMicroservice({ strategy: module.get(MqttServer), logger: false });
  await app.listen();
  const server = module.get(MqttServer);
  const harness = new MqttTestHarness(broker, server);

  await expect(harness.deliver('plants/fern/light', 1)).resolves.toMatchObject({ outcome: 'unmatched' });
  const subscription = await server.subscribe('plants/#', recorded('late'));
  const { outcome, runs } = await harness.deliver('plants/fern/state', 1);
  expect(outcome).toBe('acknowledged');
  expect(runs.map(({ pattern }) => pattern).toSorted()).toEqual(['plants/#', 'plants/+plant/state']);
  await subscription.unsubscribe();
  await expect(harness.deliver('plants/fern/light', 1)).resolves.toMatchObject({ outcome: 'unmatched', runs: [] });

  await app.close();
  await broker.close();
  broker.assertClean();
});
