import { Controller } from '@nestjs/common';
import { ClientProxy, Ctx, MessagePattern, Payload, Server } from '@nestjs/microservices';
import { MqttContext, MqttEvent, MqttServer, getMqttTransportId } from 'nestjs-rumqtt';
import { firstValueFrom, Observable } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, startMicroservice, type TestApp } from './support.js';

let calls: unknown[] = [];

@Controller()
class Handlers {
  @MqttEvent('event')
  event(@Payload() data: unknown): void {
    calls.push(['event', data]);
  }

  @MqttEvent('fails')
  fails(): never {
    throw new Error('broken');
  }

  @MessagePattern('stream')
  stream(): Observable<number> {
    return new Observable((observer) => {
      observer.next(1);
      setImmediate(() => {
        calls.push('completes');
        observer.complete();
      });
    });
  }
}

@Controller()
class Metadata {
  @MqttEvent('metadata')
  record(@Ctx() context: MqttContext): void {
    calls.push(context.getMetadata());
  }

  @MessagePattern('metadata/request')
  answer(@Ctx() context: MqttContext): void {
    calls.push(context.getMetadata());
  }
}

function watch({ server }: TestApp): void {
  // Like most instrumentation: the promise of `done` is not passed on.
  server.setOnProcessingStartHook((transportId, context, done) => {
    calls.push(['start', transportId, (context as MqttContext).getTopic()]);
    void done();
  });
  server.setOnProcessingEndHook((transportId, context) => {
    calls.push(['end', transportId, (context as MqttContext).getTopic()]);
  });
}

onEveryBroker((broker) => {
  it("runs Nest's processing hooks around each handler, to the end of what it returned", async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    watch(service);
    const transport = getMqttTransportId();

    await service.client.publish('event', 1, { qos: 1 });
    await expectEventually(
      () => calls,
      [
        ['start', transport, 'event'],
        ['event', 1],
        ['end', transport, 'event'],
      ],
    );

    calls = [];
    await service.client.request('stream');
    await expectEventually(() => calls, [['start', transport, 'stream'], 'completes', ['end', transport, 'stream']]);

    calls = [];
    await service.client.publish('fails', 1, { qos: 1 });
    await expectEventually(
      () => calls,
      [
        ['start', transport, 'fails'],
        ['end', transport, 'fails'],
      ],
    );
    await expectEventually(() => service.server.stats(), expect.objectContaining({ running: 0, failed: 1 }));
  });

  it('keeps working when an end hook throws', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    service.server.setOnProcessingEndHook(() => {
      throw new Error('broken hook');
    });

    await service.client.publish('event', 1, { qos: 1 });

    await expectEventually(() => service.server.stats().running, 0);
    await expectEventually(() => service.log.of('error', 'MqttServer'), ['processing end hook failed: broken hook']);
  });

  it('lists handlers for tools', async () => {
    await using service = await startMicroservice(broker, { controllers: [Handlers] });

    expect(service.server).toBeInstanceOf(Server);
    expect(service.client).toBeInstanceOf(ClientProxy);
    expect([...service.server.getHandlers().keys()]).toEqual(['event', 'fails', 'stream']);
    expect(service.server.getHandlerByPattern('event')).toBeTypeOf('function');
    expect(service.server.getHandlerByPattern('nothing')).toBeNull();
    expect(service.app.unwrap()).toBe(service.client.unwrap());
    expect(service.app.get(MqttServer)).toBe(service.server);
  });

  // Nest 12 has the hook. A test that is skipped on Nest 11 would hide others that are.
  // oxlint-disable-next-line vitest/no-conditional-tests
  if ('setOnDispatchHook' in ClientProxy.prototype) {
    it("carries what Nest's dispatch hook adds", async () => {
      calls = [];
      await using service = await startMicroservice(broker, { controllers: [Metadata] });
      const client = service.client as unknown as {
        setOnDispatchHook(hook: (packet: { metadata?: object }) => void): void;
      };
      client.setOnDispatchHook((packet) => {
        packet.metadata = { trace: '1' };
      });

      await firstValueFrom(service.client.emit('metadata', 'event'));
      await service.client.request('metadata/request');

      await expectEventually(() => calls, [{ trace: '1' }, { trace: '1' }]);
    });
  }
});
