import { Controller, Module, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  MqttRecordBuilder,
  Payload,
  RpcException,
  Transport,
  type ClientProxy,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { firstValueFrom, from, lastValueFrom, toArray, type Observable } from 'rxjs';
import { expect, it } from 'vitest';
import {
  expectEventually,
  onEveryBroker,
  onMosquitto,
  startMicroservice,
  TestLog,
  type TestBroker,
} from './support.js';

let events: unknown[] = [];

@Controller()
class Peer {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((total, number) => total + number, 0);
  }

  @MessagePattern({ cmd: 'sum' })
  byObject(@Payload() numbers: number[]): number {
    return this.sum(numbers);
  }

  @MessagePattern('count')
  count(@Payload() to: number): Observable<number> {
    return from(Array.from({ length: to }, (_, index) => index + 1));
  }

  @MessagePattern('nothing')
  nothing(): void {
    // Returns nothing.
  }

  @MessagePattern('fail')
  fail(@Payload() how: string): never {
    throw how === 'rpc' ? new RpcException({ code: 'E42' }) : new Error('secret detail');
  }

  @MessagePattern('called')
  called(@Payload() data: unknown): string {
    events.push(['called', data]);
    return 'answer';
  }

  @EventPattern('event')
  event(@Payload() data: unknown): void {
    events.push(['event', data]);
  }

  @EventPattern('tree/#')
  tree(@Payload() data: unknown): void {
    events.push(['tree', data]);
  }
}

/** The same assertions, whoever serves and whoever asks. */
async function expectConversation(client: ClientProxy): Promise<void> {
  await expect(firstValueFrom(client.send('sum', [1, 2, 3]))).resolves.toBe(6);
  await expect(firstValueFrom(client.send({ cmd: 'sum' }, [4, 5]))).resolves.toBe(9);
  await expect(lastValueFrom(client.send('count', 5).pipe(toArray()))).resolves.toEqual([1, 2, 3, 4, 5]);
  await expect(lastValueFrom(client.send('nothing', 'x').pipe(toArray()))).resolves.toEqual([]);
  await expect(lastValueFrom(client.send('fail', 'rpc'))).rejects.toEqual({ code: 'E42' });
  await expect(lastValueFrom(client.send('fail', 'other'))).rejects.toEqual({
    status: 'error',
    message: 'Internal server error',
  });
  await expect(firstValueFrom(client.send('sum', new MqttRecordBuilder([7]).setQoS(1).build()))).resolves.toBe(7);
  const many = await Promise.all(Array.from({ length: 50 }, (_, index) => firstValueFrom(client.send('sum', [index]))));
  expect(many).toEqual(Array.from({ length: 50 }, (_, index) => index));

  events = [];
  const data = { options: 'of the user', k: [1] };
  await lastValueFrom(client.emit('event', { data: { nested: true }, id: 7 }), { defaultValue: undefined });
  await lastValueFrom(client.emit('tree/a/b', 'text'), { defaultValue: undefined });
  await lastValueFrom(client.emit('called', 'as an event'), { defaultValue: undefined });
  await expectEventually(() => events.length, 3);
  expect(events).toEqual(
    expect.arrayContaining([
      ['event', { data: { nested: true }, id: 7 }],
      ['tree', 'text'],
      ['called', 'as an event'],
    ]),
  );
  expect(data).toEqual({ options: 'of the user', k: [1] });
}

// Not with aedes: it loses the SUBSCRIBE that the built-in client sends right after the UNSUBSCRIBE of the same topic, with
// the built-in server as well.
onMosquitto((broker) => {
  it('a built-in client talks to our server', async () => {
    await using service = await startMicroservice(broker, { controllers: [Peer] });
    await using client = builtinClient(broker);

    await expectConversation(client.proxy);
    expect(service.server.stats().failedReplies).toBe(0);
  });
});

onEveryBroker((broker) => {
  it('our client talks to a built-in server', async () => {
    await using _builtin = await startBuiltin(broker, Peer);
    await using service = await startMicroservice(broker);

    await expectConversation(service.client);
    await expect(service.client.request('sum', [1, 2])).resolves.toBe(3);
    expect(service.client.stats()).toEqual({ pendingRequests: 0, strayReplies: 0 });
  });

  it('our client talks to our server as it talks to a built-in one', async () => {
    await using service = await startMicroservice(broker, { controllers: [Peer] });

    await expectConversation(service.client);
  });

  it('learns when a built-in server takes over from one of ours', async () => {
    await using asker = await startMicroservice(broker);
    const ours = await startMicroservice(broker, { controllers: [Peer] });
    await expect(asker.client.request('sum', [1])).resolves.toBe(1);
    await ours[Symbol.asyncDispose]();
    await using _builtin = await startBuiltin(broker, Peer);

    // One request shows that nobody answers in the inbox any more.
    await asker.client.request('sum', [1], { timeoutMs: 100 }).catch(() => undefined);

    await expect(asker.client.request('sum', [2])).resolves.toBe(2);
  });
});

function builtinClient(broker: TestBroker): AsyncDisposable & { readonly proxy: ClientProxy } {
  const proxy = ClientProxyFactory.create({
    transport: Transport.MQTT,
    options: { url: broker.url, protocolVersion: broker.protocolVersion },
  });
  return {
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy.close();
    },
  };
}

async function startBuiltin(broker: TestBroker, controller: Type): Promise<AsyncDisposable> {
  @Module({ controllers: [controller] })
  class BuiltinModule {}
  const app: INestMicroservice = await NestFactory.createMicroservice<MicroserviceOptions>(BuiltinModule, {
    transport: Transport.MQTT,
    options: { url: broker.url, protocolVersion: broker.protocolVersion },
    logger: new TestLog(),
    abortOnError: false,
  });
  await app.listen();
  return { [Symbol.asyncDispose]: () => app.close() };
}
