import { context, propagation, SpanKind, SpanStatusCode, trace, type SpanContext } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { InjectMqttClient, MqttClient, MqttContext, MqttEvent, MqttMessage, retryThenDeadLetter } from 'nestjs-rumqtt';
import { openTelemetry } from 'nestjs-rumqtt/opentelemetry';
import { firstValueFrom, Observable } from 'rxjs';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  eventually,
  expectEventually,
  onEveryBroker,
  onMqtt5,
  startMicroservice,
  TestDevice,
  type TestApp,
} from './support.js';

const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const propagator = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
});
const tracing = openTelemetry({ tracerProvider, propagator });

let seen: { span: SpanContext | undefined; tenant: string | undefined }[] = [];

@Controller()
class Handlers {
  constructor(@InjectMqttClient() private readonly mqtt: MqttClient) {}

  @MqttEvent('plants/+plant/state')
  async record(@Payload() data: unknown, @Ctx() message: MqttContext): Promise<void> {
    seen.push({
      span: trace.getActiveSpan()?.spanContext(),
      tenant: propagation.getActiveBaggage()?.getEntry('tenant')?.value,
    });
    if (data === 'bad') throw Object.assign(new TypeError('broken'), { code: 'PLANT_BROKEN' });
    await this.mqtt.publish(`${message.getTopic()}/seen`, data);
  }

  @MqttMessage('sum')
  sum(@Payload() numbers: number[]): number {
    if (numbers.length === 0) throw new Error('nothing to add');
    return numbers.reduce((a, b) => a + b, 0);
  }

  @MqttMessage('slow', { handlerTimeoutMs: 50 })
  slow(): Promise<void> {
    return new Promise((resolve) => (finishSlow = resolve));
  }

  @MqttMessage('numbers', { codec: 'cbor' })
  numbers(): void {
    // What cannot be decoded does not get here.
  }

  @MqttMessage('forever')
  forever(): Observable<number> {
    return new Observable((observer) => observer.next(1));
  }
}

let finishSlow: () => void = () => undefined;

@Controller()
class Buried {
  @MqttEvent('seeds/+', retryThenDeadLetter({ attempts: 2, minDelayMs: 1 }))
  fail(): never {
    throw new Error('withered');
  }

  @MqttEvent('dead/seeds/+')
  bury(): void {
    // Its span is what counts.
  }
}

const spans = (): ReadableSpan[] => exporter.getFinishedSpans();
const named = (name: string): ReadableSpan | undefined => spans().find((span) => span.name === name);

beforeAll(() => void context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());
beforeEach(() => {
  seen = [];
  exporter.reset();
});

onEveryBroker((broker) => {
  const start = (): Promise<TestApp> =>
    startMicroservice(broker, { controllers: [Handlers], options: { tracing, drainTimeoutMs: 100 } });

  it('joins publisher, handler and what the handler publishes to one trace, where MQTT 5 carries the context', async () => {
    await using service = await start();
    const { server, clientId } = service.client.unwrap().negotiated!;
    const baggage = propagation.createBaggage({ tenant: { value: 'acme' } });

    await context.with(propagation.setBaggage(context.active(), baggage), () =>
      service.client.publish('plants/7/state', 'good', { qos: 1 }),
    );
    await eventually(() => expect(spans()).toHaveLength(3));

    const process = named('process plants/+plant/state')!;
    const [first, second] = spans().filter((span) => span.name === 'publish');
    const outer = first!.attributes['messaging.destination.name'] === 'plants/7/state' ? first! : second!;
    const inner = outer === first ? second! : first!;
    expect(outer.kind).toBe(SpanKind.PRODUCER);
    expect(outer.attributes).toEqual({
      'messaging.system': 'mqtt',
      'messaging.client.id': clientId,
      'server.address': '127.0.0.1',
      'server.port': Number(server.split(':').at(-1)),
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'plants/7/state',
    });
    expect(process.kind).toBe(SpanKind.CONSUMER);
    expect(process.attributes).toMatchObject({
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'plants/7/state',
      'messaging.destination.template': 'plants/+plant/state',
      'messaging.message.body.size': 4,
    });
    expect(seen[0]?.span).toEqual(process.spanContext());
    expect(inner.parentSpanContext?.spanId).toBe(process.spanContext().spanId);
    if (broker.protocolVersion === 5) {
      expect(process.parentSpanContext?.spanId).toBe(outer.spanContext().spanId);
      expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1);
      expect(seen[0]?.tenant).toBe('acme');
    } else {
      expect(process.parentSpanContext).toBeUndefined();
      expect(process.links).toEqual([]);
    }
  });

  it('marks failures of handlers', async () => {
    await using service = await start();
    await service.client.publish('plants/7/state', 'bad', { qos: 1 });

    await eventually(() => expect(named('process plants/+plant/state')).toBeDefined());
    const { status } = named('process plants/+plant/state')!;
    expect(status).toEqual({ code: SpanStatusCode.ERROR, message: expect.any(String) });
  });

  it('spans requests to their last reply, and marks errors on both sides', async () => {
    await using service = await start();

    expect(await service.client.request('sum', [1, 2])).toBe(3);
    await eventually(() => expect(spans()).toHaveLength(3));
    expect(named('request')?.kind).toBe(SpanKind.CLIENT);
    expect(named('process sum')?.status.code).toBe(SpanStatusCode.UNSET);
    if (broker.protocolVersion === 5) {
      expect(named('process sum')?.parentSpanContext?.spanId).toBe(named('request')?.spanContext().spanId);
    }

    exporter.reset();
    await expect(firstValueFrom(service.client.send('sum', []))).rejects.toBeDefined();
    await eventually(() => expect(spans()).toHaveLength(3));
    expect(named('request')?.status.code).toBe(SpanStatusCode.ERROR);
    expect(named('process sum')?.status.code).toBe(SpanStatusCode.ERROR);
    // The error was sent, as it should be.
    expect(named('reply')?.status.code).toBe(SpanStatusCode.UNSET);
  });

  it('makes a span of each reply within that of its handler, whatever is active when it is sent', async () => {
    await using service = await start();
    const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId;

    await service.client.request('sum', [1, 2]);
    await eventually(() => expect(named('reply')).toBeDefined());
    const reply = named('reply')!;
    expect(reply.kind).toBe(SpanKind.PRODUCER);
    expect(reply.attributes).toMatchObject({
      'messaging.operation.name': 'reply',
      'messaging.operation.type': 'send',
      'messaging.destination.name': expect.any(String),
    });
    expect(reply.parentSpanContext?.spanId).toBe(idOf(named('process sum')));

    exporter.reset();
    await expect(service.client.request('slow', 1)).rejects.toThrow('50 ms');
    await eventually(() => expect(named('reply')).toBeDefined());
    finishSlow();
    await eventually(() => expect(named('process slow')).toBeDefined());
    expect(named('reply')?.parentSpanContext?.spanId).toBe(idOf(named('process slow')));
  });

  it('makes a span of a dead letter within that of the last attempt, and its consumer goes on from there', async () => {
    await using service = await startMicroservice(broker, { controllers: [Buried], options: { tracing } });
    await service.client.publish('seeds/7', 'x', { qos: 1 });

    await eventually(() => expect(named('process dead/seeds/+')).toBeDefined());
    const attempts = spans().filter(({ name }) => name === 'process seeds/+');
    const letter = named('dead-letter')!;
    expect(attempts).toHaveLength(2);
    expect(letter.kind).toBe(SpanKind.PRODUCER);
    expect(letter.attributes).toMatchObject({
      'messaging.operation.name': 'dead-letter',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'dead/seeds/7',
    });
    expect(letter.parentSpanContext?.spanId).toBe(attempts[1]?.spanContext().spanId);
    expect(named('process dead/seeds/+')?.parentSpanContext?.spanId).toBe(
      broker.protocolVersion === 5 ? letter.spanContext().spanId : undefined,
    );
  });

  it('ends the span of a request that is given up', async () => {
    await using service = await start();
    expect(await firstValueFrom(service.client.send('forever', 1))).toBe(1);
    await eventually(() => expect(named('request')?.ended).toBe(true));
  });

  it('ends the span of an enqueued message when the exchange has completed', async () => {
    await using service = await start();
    const { completed } = await service.client.enqueue('a', 'x', { qos: 1 });
    await completed;
    await eventually(() => expect(named('publish')?.ended).toBe(true));
    await expect(service.client.publish('a/#', 'x')).rejects.toThrow('topic');
    await eventually(() => expect(spans().at(-1)?.attributes['error.type']).toBe('MQTT_INVALID_ARGUMENT'));
  });

  it('runs a handler once, and hooks of Nest inside its span', async () => {
    const calls: unknown[] = [];
    await using service = await start();
    service.server.setOnProcessingStartHook((_transport, _context, done) => {
      calls.push(['start', trace.getActiveSpan()?.spanContext().spanId]);
      void done();
    });
    service.server.setOnProcessingEndHook(() => void calls.push('end'));
    await firstValueFrom(service.client.emit('plants/7/state', 'good'));

    await eventually(() => expect(named('process plants/+plant/state')).toBeDefined());
    await expectEventually(() => calls, [['start', named('process plants/+plant/state')!.spanContext().spanId], 'end']);
    expect(seen).toHaveLength(1);
  });

  it('changes nothing on the wire when it is off', async () => {
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('off');
    await using service = await startMicroservice(broker, { controllers: [Handlers] });

    await service.client.publish('off', 'x', { qos: 1 });

    await eventually(() => expect(device.received).toHaveLength(1));
    expect(device.received[0]?.properties?.userProperties).toBeUndefined();
    expect(spans()).toEqual([]);
  });

  it('refuses what cannot be a tracing', async () => {
    await expect(startMicroservice(broker, { options: { tracing: {} as never } })).rejects.toThrow(
      'tracing is [object Object], expected openTelemetry() of nestjs-rumqtt/opentelemetry',
    );
  });
});

onMqtt5((broker) => {
  it('names the group of a shared subscription', async () => {
    await using service = await startMicroservice(broker, { controllers: [Shared], options: { tracing } });
    await service.client.publish('jobs', 'x', { qos: 1 });
    await eventually(() => expect(named('process jobs')).toBeDefined());
    expect(named('process jobs')?.attributes['messaging.consumer.group.name']).toBe('workers');
  });

  it('carries the context of a reply, and goes on with the trace of a request that cannot be decoded', async () => {
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('inbox');
    await using _service = await startMicroservice(broker, { controllers: [Handlers], options: { tracing } });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const properties = { responseTopic: 'inbox', userProperties: { traceparent } };
    const carried = (): unknown => device.received.at(-1)?.properties?.userProperties?.['traceparent'];

    await device.mqtt.publishAsync('sum', '[1,2]', { properties });
    await eventually(() => expect(device.received).toHaveLength(1));
    await eventually(() => expect(named('reply')).toBeDefined());
    expect(carried()).toContain(`-${named('reply')?.spanContext().spanId}-`);

    exporter.reset();
    await device.mqtt.publishAsync('numbers', 'none', { properties });
    await eventually(() => expect(device.received).toHaveLength(2));
    await eventually(() => expect(named('reply')).toBeDefined());
    expect(named('reply')?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
    expect(carried()).toContain(`-${named('reply')?.spanContext().spanId}-`);
  });

  it('survives hostile trace contexts, and only links to the sender of a retained message', async () => {
    await using device = await TestDevice.connect(broker);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await device.mqtt.publishAsync('plants/old/state', '1', {
      retain: true,
      properties: { userProperties: { traceparent } },
    });
    await using service = await startMicroservice(broker, { controllers: [Retained], options: { tracing } });
    await eventually(() => expect(named('process plants/old/state')).toBeDefined());
    const retained = named('process plants/old/state')!;
    expect(retained.parentSpanContext).toBeUndefined();
    expect(retained.links).toMatchObject([{ context: { spanId: 'b7ad6b7169203331' } }]);
    exporter.reset();

    for (const value of ['', 'x'.repeat(10_000), '00-zz-zz-01', ['a', 'b']]) {
      await device.mqtt.publishAsync('plants/old/state', '1', {
        properties: { userProperties: { traceparent: value, baggage: value, ['__proto__']: 'x' } },
      });
    }
    await device.mqtt.publishAsync('plants/old/state', '1', { properties: { userProperties: { traceparent } } });
    await eventually(() => expect(spans()).toHaveLength(5));
    expect(spans().map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      ...Array.from({ length: 4 }, () => undefined),
      'b7ad6b7169203331',
    ]);
    await device.mqtt.publishAsync('plants/old/state', '', { retain: true });
    expect(service.server.stats().failed).toBe(0);
  });
});

@Controller()
class Shared {
  @MqttEvent('jobs', { share: 'workers' })
  work(): void {
    // Its span is what counts.
  }
}

@Controller()
class Retained {
  @MqttEvent('plants/old/state')
  record(): void {
    // Its span is what counts.
  }
}
