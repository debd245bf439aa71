import { Controller } from '@nestjs/common';
import { MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { MqttMessage, type MqttPattern } from 'nestjs-rumqtt';
import { firstValueFrom, from, lastValueFrom, NEVER, Observable, throwError, toArray } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, Latch, onEveryBroker, onMqtt5, startMicroservice, TestDevice } from './support.js';

let latch = new Latch();

@Controller()
class Calculator {
  @MqttMessage('sum')
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((total, number) => total + number, 0);
  }

  @MessagePattern({ cmd: 'sum', version: 2 })
  byObject(@Payload() numbers: number[]): number {
    return this.sum(numbers) * 2;
  }

  @MqttMessage('echo/+name')
  async echo(@Payload() data: unknown): Promise<unknown> {
    return data;
  }

  @MqttMessage('count')
  count(@Payload() to: number): Observable<number> {
    return from(Array.from({ length: to }, (_, index) => index + 1));
  }

  @MqttMessage('nothing')
  nothing(): void {
    // Returns nothing.
  }

  @MqttMessage('null')
  nullish(): null {
    return null;
  }

  @MqttMessage('fail')
  fail(@Payload() how: string): Observable<unknown> {
    if (how === 'rpc') throw new RpcException({ code: 'E42', detail: 'no' });
    if (how === 'late') return throwError(() => new RpcException('late'));
    throw new Error('secret detail');
  }

  @MqttMessage('partly')
  partly(): Observable<number> {
    return new Observable<number>((observer) => {
      observer.next(1);
      setImmediate(() => observer.error(new RpcException('broken off')));
    });
  }

  @MqttMessage('held')
  async held(): Promise<string> {
    await latch.opened;
    return 'released';
  }

  @MqttMessage('never')
  never(): Observable<never> {
    return NEVER;
  }
}

onEveryBroker((broker) => {
  it('brings the answer back through send and through request', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });
    const { client } = service;

    await expect(firstValueFrom(client.send('sum', [1, 2, 3]))).resolves.toBe(6);
    await expect(client.request('sum', [1, 2, 3])).resolves.toBe(6);
    await expect(client.request('echo/1', { deep: ['ü', null, 1.5] })).resolves.toEqual({ deep: ['ü', null, 1.5] });
  });

  it('reaches handlers of object patterns, whatever the order of the keys', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });
    const pattern: MqttPattern = { version: 2, cmd: 'sum' };

    await expect(service.client.request(pattern, [1, 2, 3])).resolves.toBe(12);
    await expect(firstValueFrom(service.client.send(pattern, [1]))).resolves.toBe(2);
  });

  it('delivers every value of a stream in order, and its end', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });

    const values = await lastValueFrom(service.client.send<number>('count', 200).pipe(toArray()));

    expect(values).toEqual(Array.from({ length: 200 }, (_, index) => index + 1));
    await expect(service.client.request('count', 3)).resolves.toBe(3);
    await expect(lastValueFrom(service.client.send<number>('count', 0).pipe(toArray()))).resolves.toEqual([]);
  });

  it('completes without a value when the handler returns nothing, and tells null from nothing', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });

    await expect(lastValueFrom(service.client.send('nothing', 1).pipe(toArray()))).resolves.toEqual([]);
    await expect(service.client.request('nothing')).resolves.toBeUndefined();
    await expect(lastValueFrom(service.client.send('null', 1).pipe(toArray()))).resolves.toEqual([null]);
    await expect(service.client.request('null')).resolves.toBeNull();
  });

  it('brings errors back as Nest shapes them, and details of unexpected ones not at all', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });
    const { client } = service;

    await expect(lastValueFrom(client.send('fail', 'rpc'))).rejects.toEqual({ code: 'E42', detail: 'no' });
    await expect(lastValueFrom(client.send('fail', 'late'))).rejects.toEqual({ status: 'error', message: 'late' });
    await expect(lastValueFrom(client.send('fail', 'other'))).rejects.toEqual({
      status: 'error',
      message: 'Internal server error',
    });
    await expect(client.request('fail', 'rpc')).rejects.toMatchObject({
      code: 'MQTT_REMOTE_ERROR',
      topic: 'fail',
      response: { code: 'E42', detail: 'no' },
    });
  });

  it('delivers what a stream brought before it failed', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });
    const seen: unknown[] = [];

    await expect(
      new Promise((resolve, reject) =>
        service.client
          .send('partly', 1)
          .subscribe({ next: (value) => seen.push(value), error: reject, complete: () => resolve(seen) }),
      ),
    ).rejects.toEqual({ status: 'error', message: 'broken off' });
    expect(seen).toEqual([1]);
  });

  it('keeps many requests apart', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });

    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, index) => service.client.request('echo/x', index)),
    );

    expect(answers).toEqual(Array.from({ length: 300 }, (_, index) => index));
    expect(service.client.stats()).toEqual({ pendingRequests: 0, strayReplies: 0 });
  });

  it('gives up after the timeout and ignores a reply that comes later', async () => {
    latch = new Latch();
    await using service = await startMicroservice(broker, {
      controllers: [Calculator],
      options: { replyMode: 'private' },
    });
    // The inbox is there, so that the next request is sent at once.
    await service.client.request('sum', [1]);

    await expect(service.client.request('held', 1, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'MQTT_TIMEOUT',
      operation: 'request to "held"',
      timeoutMs: 100,
      delivery: 'unknown',
    });
    expect(service.client.stats().pendingRequests).toBe(0);
    latch.open();
    await expectEventually(() => service.client.stats().strayReplies, 1);
  });

  it('applies the timeout of the options to send as well', async () => {
    await using service = await startMicroservice(broker, {
      controllers: [Calculator],
      options: { requestTimeoutMs: 50, drainTimeoutMs: 0 },
    });

    await expect(lastValueFrom(service.client.send('never', 1))).rejects.toMatchObject({ code: 'MQTT_TIMEOUT' });
  });

  it('stops waiting when the signal aborts, before and after sending', async () => {
    await using service = await startMicroservice(broker, {
      controllers: [Calculator],
      options: { drainTimeoutMs: 0 },
    });
    const reason = new Error('not needed');
    const abort = new AbortController();

    await expect(service.client.request('never', 1, { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'MQTT_ABORTED',
      delivery: 'not-sent',
      cause: reason,
    });
    const request = service.client.request('never', 1, { signal: abort.signal });
    await expectEventually(() => service.server.stats().running, 1);
    abort.abort(reason);

    await expect(request).rejects.toMatchObject({ code: 'MQTT_ABORTED', cause: reason });
    expect(service.client.stats().pendingRequests).toBe(0);
  });

  it('forgets a request whose subscriber has left', async () => {
    await using service = await startMicroservice(broker, {
      controllers: [Calculator],
      options: { drainTimeoutMs: 0 },
    });
    const subscription = service.client.send('never', 1).subscribe();
    await expectEventually(() => service.client.stats().pendingRequests, 1);

    subscription.unsubscribe();

    expect(service.client.stats().pendingRequests).toBe(0);
  });

  it('refuses more requests than may wait, and goes on when some are answered', async () => {
    latch = new Latch();
    await using service = await startMicroservice(broker, {
      controllers: [Calculator],
      options: { maxPendingRequests: 2 },
    });
    const held = [service.client.request('held'), service.client.request('held')];
    await expectEventually(() => service.client.stats().pendingRequests, 2);

    await expect(service.client.request('sum', [1])).rejects.toMatchObject({ code: 'MQTT_TOO_MANY_REQUESTS' });
    latch.open();

    await expect(Promise.all(held)).resolves.toEqual(['released', 'released']);
    await expect(service.client.request('sum', [1])).resolves.toBe(1);
  });

  it('names what is wrong with a request', async () => {
    await using service = await startMicroservice(broker);
    const { client } = service;

    await expect(client.request('a/+', 1)).rejects.toMatchObject({ code: 'MQTT_INVALID_ARGUMENT', field: 'pattern' });
    await expect(lastValueFrom(client.send('a/#', 1))).rejects.toMatchObject({ field: 'pattern', value: 'a/#' });
    await expect(client.request('a', 1n)).rejects.toMatchObject({ field: 'data' });
    await expect(client.request('a', 1, { timeoutMs: -1 })).rejects.toMatchObject({ field: 'timeoutMs', value: -1 });
    await expect(client.request('a', 1, { envelope: 'x' as 'nest' })).rejects.toMatchObject({ field: 'envelope' });
    await expect(client.request('a', 1, { signal: {} as AbortSignal })).rejects.toMatchObject({ field: 'signal' });
    expect(client.stats().pendingRequests).toBe(0);
  });

  it('needs one subscription for the replies of all requests between services that use this package', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });
    const { client } = service;
    await client.request('sum', [1]);
    await client.request('echo/1', 1);
    const loop = client.unwrap();
    const before = loop.stats();

    for (let i = 0; i < 5; i++) {
      await client.request('sum', [i]);
      await client.request('echo/1', i);
    }

    // Each request is one message and its reply one more; nothing else passed.
    expect(loop.stats().publishesSent - before.publishesSent).toBe(20);
    await using spy = await TestDevice.connect(broker);
    await spy.mqtt.subscribeAsync(['sum/reply', 'echo/1/reply']);
    await client.request('sum', [1]);
    expect(spy.received).toEqual([]);
  });
});

onMqtt5((broker) => {
  it('fails at once when nobody subscribes to the topic', async () => {
    await using service = await startMicroservice(broker);

    await expect(service.client.request('nobody/here', 1)).rejects.toMatchObject({
      code: 'MQTT_NO_RESPONDER',
      topic: 'nobody/here',
    });
  });

  it('carries bytes in both directions', async () => {
    await using service = await startMicroservice(broker, { controllers: [Calculator] });
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x80]);

    await expect(service.client.request('echo/bytes', bytes)).resolves.toEqual(bytes);
    await expect(service.client.request('echo/bytes', Buffer.from('123'))).resolves.toEqual(Buffer.from('123'));
    await expect(firstValueFrom(service.client.send('echo/bytes', new Uint8Array([0x80])))).resolves.toEqual(
      Buffer.from([0x80]),
    );
  });
});
