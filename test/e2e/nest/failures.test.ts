import { Catch, Controller, UseFilters, type ArgumentsHost, type RpcExceptionFilter } from '@nestjs/common';
import { EventPattern, Payload, RpcException } from '@nestjs/microservices';
import { MqttEvent } from 'nestjs-rumqtt';
import { EMPTY, Observable } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, startMicroservice } from './support.js';

let calls: unknown[] = [];

@Catch()
class Swallowing implements RpcExceptionFilter {
  catch(exception: unknown, _host: ArgumentsHost): Observable<unknown> {
    calls.push(['filtered', (exception as Error).message]);
    return EMPTY;
  }
}

@Controller()
class Failing {
  @EventPattern('fail/rpc')
  rpc(@Payload() _data: unknown): void {
    throw new RpcException('no luck');
  }

  @MqttEvent('fail/error')
  async error(): Promise<void> {
    throw new Error('broken');
  }

  @MqttEvent('fail/stream')
  stream(): Observable<number> {
    return new Observable((observer) => {
      observer.next(1);
      setImmediate(() => observer.error(new RpcException('late')));
    });
  }

  @UseFilters(Swallowing)
  @MqttEvent('fail/filtered')
  filtered(): void {
    throw new Error('expected');
  }

  @MqttEvent('fail/#')
  observer(@Payload() data: unknown): void {
    calls.push(['observer', data]);
  }
}

@Controller()
class Streams {
  @MqttEvent('empty')
  first(): Observable<never> {
    return EMPTY;
  }

  @MqttEvent('empty')
  second(): Observable<number> {
    return new Observable((observer) => {
      setImmediate(() => {
        calls.push('second is done');
        observer.next(1);
        observer.complete();
      });
    });
  }

  @MqttEvent('cold')
  cold(): Observable<number> {
    return new Observable((observer) => {
      calls.push('subscribed');
      observer.complete();
    });
  }
}

onEveryBroker((broker) => {
  it('reports a failed event handler once, wherever it failed, and runs the others', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Failing] });
    const failed: unknown[] = [];
    service.server.on('handler-failed', ({ topic, error }) => failed.push([topic, error]));

    for (const topic of ['fail/rpc', 'fail/error', 'fail/stream'])
      await service.client.publish(topic, topic, { qos: 1 });

    await expectEventually(() => service.server.stats().failed, 3);
    await expectEventually(
      () => failed,
      [
        ['fail/rpc', { status: 'error', message: 'no luck' }],
        ['fail/error', { status: 'error', message: 'Internal server error' }],
        ['fail/stream', { status: 'error', message: 'late' }],
      ],
    );
    const consequence =
      broker.protocolVersion === 5 ? 'it is refused (0x80)' : 'it is acknowledged, for MQTT 3.1.1 cannot refuse';
    const cure = 'retry and deadLetter would keep such messages';
    expect(service.log.of('error', 'MqttServer')).toEqual([
      `handler of "fail/rpc" failed on "fail/rpc": no luck; ${consequence}: ${cure}`,
      `handler of "fail/error" failed on "fail/error": Internal server error; ${consequence}: ${cure}`,
      `handler of "fail/stream" failed on "fail/stream": late; ${consequence}: ${cure}`,
    ]);
    // The only one whose details Nest keeps from us and logs itself.
    expect(service.log.of('error').filter((line) => line.includes('broken'))).toHaveLength(1);
    expect(calls).toEqual([
      ['observer', 'fail/rpc'],
      ['observer', 'fail/error'],
      ['observer', 'fail/stream'],
    ]);
  });

  it('takes what an exception filter makes of a failure as the outcome', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Failing] });

    await service.client.publish('fail/filtered', 1, { qos: 1 });

    await expectEventually(
      () => calls.toSorted(byName),
      [
        ['filtered', 'expected'],
        ['observer', 1],
      ],
    );
    await expectEventually(() => service.client.unwrap().stats().unsettled, 0);
    expect(service.server.stats().failed).toBe(0);
  });

  it('waits for a handler although its sibling returned an empty stream', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Streams] });

    await service.client.publish('empty', 1, { qos: 1 });
    await expectEventually(() => service.client.unwrap().stats().messagesReceived, 1);
    await expectEventually(() => service.client.unwrap().stats().unsettled, 0);

    expect(calls).toEqual(['second is done']);
  });

  it('runs what a handler returns as an observable', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Streams] });

    await service.client.publish('cold', 1, { qos: 1 });

    await expectEventually(() => calls, ['subscribed']);
  });

  it('counts and reports messages that no handler matches', async () => {
    await using service = await startMicroservice(broker, { controllers: [Streams] });
    const unmatched: string[] = [];
    service.server.on('unmatched', ({ topic }) => unmatched.push(topic));
    await service.server.unwrap().subscribe('stray', { qos: 1 });

    await service.client.publish('stray', 'x', { qos: 1 });

    await expectEventually(() => [service.server.stats().unmatched, unmatched], [1, ['stray']]);
    expect(service.log.of('warn', 'MqttServer')).toEqual([expect.stringContaining('no handler matches "stray"')]);
  });

  it('keeps the log readable when a handler fails again and again', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Failing] });

    for (let i = 0; i < 100; i++) await service.client.publish('fail/rpc', i, { qos: 1 });

    await expectEventually(() => service.server.stats().failed, 100);
    expect(service.log.of('error', 'MqttServer').length).toBeLessThan(50);
  });
});

function byName(a: unknown, b: unknown): number {
  return JSON.stringify(a).localeCompare(JSON.stringify(b));
}
