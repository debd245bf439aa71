import { Controller, Injectable } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { createObserveModule } from '@nestjs/observe';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { MqttContext, MqttEvent, MqttMessage } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { eventually, onEveryBroker, startMicroservice, type TestApp, type TestBroker } from './support.js';

/** What the agent sends of one call: its wire format has these keys. */
interface Snapshot {
  readonly op: string;
}

/** Stands for the service that the agent's worker posts to. */
class Collector implements AsyncDisposable {
  readonly snapshots: Snapshot[] = [];
  readonly #server = createServer((request, response) => {
    void buffer(request.pipe(createGunzip())).then((body) => {
      this.snapshots.push(...(JSON.parse(body.toString()) as { snapshots: Snapshot[] }).snapshots);
      response.end('{}');
    });
  });

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await once(collector.#server.listen(0, '127.0.0.1'), 'listening');
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  of(operation: string): Snapshot | undefined {
    return this.snapshots.find(({ op }) => op === operation);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server.close(), 'close');
    this.#server.closeAllConnections();
    await closed;
  }
}

@Injectable()
class Adder {
  add(numbers: number[]): number {
    return numbers.reduce((a, b) => a + b, 0);
  }
}

@Controller()
class Handlers {
  constructor(private readonly adder: Adder) {}

  @MqttEvent('plants/+plant/state')
  record(): void {
    // What is recorded about the call is what counts.
  }

  @MqttEvent('orchids/+orchid/state')
  wither(): never {
    throw new Error('withered');
  }

  @MqttMessage('sum')
  sum(@Payload() numbers: number[]): number {
    return this.adder.add(numbers);
  }
}

function startObserved(broker: TestBroker, { endpoint }: Collector): Promise<TestApp> {
  const { ObserveModule, ObserveInstrument } = createObserveModule();
  return startMicroservice(broker, {
    controllers: [Handlers],
    providers: [Adder],
    imports: [
      ObserveModule.forRoot({
        appKey: 'key',
        appSecret: 'secret',
        serviceId: 'plants',
        endpoint,
        flushInterval: 1_000,
        runtimeMetrics: false,
        outgoing: false,
        rpc: { getUserId: (_transport, context) => (context as MqttContext).getTopic() },
      }),
    ],
    instrument: ObserveInstrument,
  });
}

onEveryBroker((broker) => {
  it('@nestjs/observe records each call of a handler under its pattern, with its spans and its error', async () => {
    await using collector = await Collector.start();
    await using service = await startObserved(broker, collector);

    // As a peer with Nest 12 does.
    const packet = { pattern: 'plants/7/state', data: 'good', metadata: { 'x-request-id': 'request-7' } };
    await service.client.publish('plants/7/state', packet, { qos: 1 });
    await service.client.publish('orchids/8/state', 'bad', { qos: 1 });
    expect(await service.client.request('sum', [1, 2])).toBe(3);
    await eventually(() => expect(collector.snapshots).toHaveLength(3));

    const spanOf = (method: string): object => ({ c: 'Handlers', m: method });
    expect(collector.of('plants/+plant/state')).toMatchObject({
      p: 'mqtt',
      ti: 'request-7',
      u: 'plants/7/state',
      t: [spanOf('record')],
    });
    expect(collector.of('plants/+plant/state')).not.toHaveProperty('e');
    expect(collector.of('orchids/+orchid/state')).toMatchObject({
      p: 'mqtt',
      e: { message: 'withered' },
      t: [{ ...spanOf('wither'), e: { message: 'withered' } }],
    });
    // A provider that the handler calls is a span within that of the handler.
    expect(collector.of('sum')).toMatchObject({ p: 'mqtt', t: [{ ...spanOf('sum'), ch: [{ c: 'Adder', m: 'add' }] }] });
  });
});
