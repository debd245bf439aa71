import {
  Controller,
  Injectable,
  ValidationPipe,
  type ArgumentMetadata,
  type PipeTransform,
  type Type,
} from '@nestjs/common';
import * as common from '@nestjs/common';
import { Payload, RpcException } from '@nestjs/microservices';
import { decode as decodeCbor, encode as encodeCbor } from 'cborg';
import { encode as encodeMsgpack } from '@msgpack/msgpack';
import { IsInt, IsString, Min } from 'class-validator';
import { MqttEvent, MqttMessage, type MqttCodec, type MqttUndecodableEvent } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { expectEventually, onEveryBroker, onMqtt5, startMicroservice, TestDevice } from './support.js';

let received: [handler: string, data: unknown][] = [];

const reading = z.object({ celsius: z.number().min(-50), at: z.coerce.date().optional() });

/** Any Standard Schema: Nest 12 has this built in. */
@Injectable()
class SchemaPipe implements PipeTransform {
  transform(value: unknown, _metadata: ArgumentMetadata): unknown {
    const result = reading['~standard'].validate(value);
    if (result instanceof Promise || result.issues !== undefined) throw new RpcException('invalid reading');
    return result.value;
  }
}

/** On Nest 12 by its own means; the types of Nest 11 know nothing of them. */
const readingByNest = readingParameter();

function readingParameter(): ParameterDecorator {
  const NestPipe = (common as Record<string, unknown>)['StandardSchemaValidationPipe'] as
    Type<PipeTransform> | undefined;
  if (NestPipe === undefined) return Payload(SchemaPipe);
  return (Payload as (options: object) => ParameterDecorator)({ schema: reading, pipes: [new NestPipe()] });
}

class Order {
  @IsString()
  id!: string;

  @IsInt()
  @Min(1)
  amount!: number;
}

const hex: MqttCodec = {
  contentType: 'application/x-hex',
  encode: (value) => Buffer.from(Buffer.from(String(value)).toString('hex')),
  decode(payload) {
    const text = payload.toString();
    if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error('not hexadecimal');
    return Buffer.from(text, 'hex').toString();
  },
};

@Controller()
class Payloads {
  @MqttEvent('in/json', { codec: 'json' })
  json(@Payload() data: unknown): void {
    received.push(['json', data]);
  }

  @MqttEvent('in/text', { codec: 'text' })
  text(@Payload() data: unknown): void {
    received.push(['text', data]);
  }

  @MqttEvent('in/raw', { codec: 'raw' })
  raw(@Payload() data: unknown): void {
    received.push(['raw', data]);
  }

  @MqttEvent('in/cbor', { codec: 'cbor' })
  cbor(@Payload() data: unknown): void {
    received.push(['cbor', data]);
  }

  @MqttEvent('in/msgpack', { codec: 'msgpack' })
  msgpack(@Payload() data: unknown): void {
    received.push(['msgpack', data]);
  }

  @MqttEvent('in/hex', { codec: hex })
  hex(@Payload() data: unknown): void {
    received.push(['hex', data]);
  }

  @MqttEvent('in/any')
  any(@Payload() data: unknown): void {
    received.push(['any', data]);
  }

  @MqttEvent('schema', { codec: 'cbor' })
  schema(@Payload(SchemaPipe) data: unknown): void {
    received.push(['schema', data]);
  }

  @MqttEvent('schema/nest', { codec: 'cbor' })
  schemaByNest(@readingByNest data: unknown): void {
    received.push(['schema', data]);
  }

  @MqttEvent('order', { codec: 'json' })
  order(@Payload(new ValidationPipe({ transform: true })) order: Order): void {
    received.push(['order', order]);
  }

  @MqttMessage('sum/cbor', { codec: 'cbor' })
  sum(@Payload() { bytes }: { bytes: Uint8Array }): unknown {
    return { sum: bytes.reduce((a, b) => a + b, 0), bytes: bytes.toReversed() };
  }

  @MqttMessage('fail/msgpack', { codec: 'msgpack' })
  fail(): never {
    throw new RpcException({ status: 'error', message: 'empty' });
  }

  @MqttMessage('echo/hex', { codec: hex })
  echo(@Payload() text: string): string {
    return text.toUpperCase();
  }
}

onEveryBroker((broker) => {
  it('each handler reads its own codec, and the client writes it', async () => {
    received = [];
    await using service = await startMicroservice(broker, { controllers: [Payloads] });
    const { client } = service;
    const bytes = new Uint8Array([0xff, 0, 0x80]);

    await client.publish('in/json', 'a string', { codec: 'json', qos: 1 });
    await client.publish('in/text', '{"not":"parsed"}', { codec: 'text', qos: 1 });
    await client.publish('in/raw', bytes, { codec: 'raw', qos: 1 });
    await client.publish('in/cbor', { bytes, at: new Date(0) }, { codec: 'cbor', qos: 1 });
    await client.publish('in/msgpack', { bytes }, { codec: 'msgpack', qos: 1 });
    await client.publish('in/hex', 'text', { codec: hex, qos: 1 });
    const { completed } = await client.enqueue('in/cbor', [1], { codec: 'cbor', qos: 1 });
    await completed;

    await expectEventually(
      () => received,
      [
        ['json', 'a string'],
        ['text', '{"not":"parsed"}'],
        ['raw', Buffer.from(bytes)],
        ['cbor', { bytes, at: new Date(0) }],
        ['msgpack', { bytes }],
        ['hex', 'text'],
        ['cbor', [1]],
      ],
    );
  });

  it('the codec of the module is that of its handlers and of its client', async () => {
    received = [];
    await using service = await startMicroservice(broker, { controllers: [Payloads], options: { codec: 'cbor' } });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('out/#', { qos: 1 });

    await device.mqtt.publishAsync('in/any', Buffer.from(encodeCbor({ celsius: 21 })), { qos: 1 });
    await service.client.publish('out/publish', { a: new Uint8Array([1]) }, { qos: 1 });
    await service.client.emit('out/emit', [1]).toPromise();

    await expectEventually(() => received, [['any', { celsius: 21 }]]);
    await expectEventually(
      () => device.received.map(({ topic, payload }) => [topic, decodeCbor(payload as Buffer)]),
      [
        ['out/publish', { a: new Uint8Array([1]) }],
        ['out/emit', [1]],
      ],
    );
  });

  it.each(['text', 'a string', '12', '{"deep":[1]}'])(
    'what cannot be decoded costs one message, no more: %s',
    async (text) => {
      received = [];
      await using service = await startMicroservice(broker, { controllers: [Payloads] });
      await using device = await TestDevice.connect(broker);
      const events: MqttUndecodableEvent[] = [];
      service.server.on('undecodable', (event) => events.push(event));

      await device.mqtt.publishAsync('in/msgpack', text, { qos: 1 });
      await device.mqtt.publishAsync('in/msgpack', Buffer.from(encodeMsgpack({ ok: 1 })), { qos: 1 });

      await expectEventually(() => received.at(-1), ['msgpack', { ok: 1 }]);
      expect(service.server.stats().undecodable).toBe(events.length);
      expect(received.length + events.length).toBe(2);
    },
  );

  it('hostile payloads of every kind leave the service alive', async () => {
    received = [];
    const options = { onUndecodable: 'acknowledge' } as const;
    await using service = await startMicroservice(broker, { controllers: [Payloads], options });
    await using device = await TestDevice.connect(broker);
    const deep = 100_000;
    const hostile: [topic: string, payload: Buffer][] = [
      ['in/json', Buffer.from('['.repeat(deep))],
      ['in/any', Buffer.from('['.repeat(deep))],
      ['in/cbor', Buffer.concat([Buffer.alloc(deep, 0x81), Buffer.from([0])])],
      ['in/cbor', Buffer.from([0x9a, 0xff, 0xff, 0xff, 0xff])],
      ['in/msgpack', Buffer.alloc(deep, Buffer.from([0xdd, 0, 1, 0x86, 0xa0]))],
      ['in/msgpack', Buffer.from(encodeMsgpack(JSON.parse('{"__proto__":{"a":1}}')))],
      ['in/text', Buffer.from([0xff])],
      ['in/hex', Buffer.from('xyz')],
      ['sum/cbor', Buffer.from([0xff])],
      ['in/any', Buffer.from('{"pattern":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}},"data":1,"id":{}}')],
    ];

    for (const [topic, payload] of hostile) await device.mqtt.publishAsync(topic, payload, { qos: 1 });
    await device.mqtt.publishAsync('in/json', '{"last":1}', { qos: 1 });

    await expectEventually(() => received.at(-1), ['json', { last: 1 }]);
    await expectEventually(
      () => service.server.stats(),
      expect.objectContaining({ undecodable: 8, failed: 0, running: 0 }),
    );
    expect(service.log.of('error', 'MqttServer').every((line) => line.length < 1_000)).toBe(true);
  });

  it.each(['schema', 'schema/nest'])('a Standard Schema validates and converts what was decoded: %s', async (topic) => {
    received = [];
    await using service = await startMicroservice(broker, { controllers: [Payloads] });
    const { client } = service;

    await client.publish(topic, { celsius: 'warm' }, { codec: 'cbor', qos: 1 });
    await client.publish(topic, { celsius: 21, at: '2026-01-01T00:00:00Z', more: 1 }, { codec: 'cbor', qos: 1 });

    await expectEventually(() => received, [['schema', { celsius: 21, at: new Date('2026-01-01') }]]);
    expect(service.server.stats().failed).toBe(1);
  });

  it('ValidationPipe of class-validator validates and makes instances', async () => {
    received = [];
    await using service = await startMicroservice(broker, { controllers: [Payloads] });

    await service.client.publish('order', { id: 'x', amount: 0 }, { qos: 1 });
    await service.client.publish('order', { id: 'x', amount: 2 }, { qos: 1 });

    await expectEventually(() => received, [['order', { id: 'x', amount: 2 }]]);
    expect(received[0]?.[1]).toBeInstanceOf(Order);
    expect(service.server.stats().failed).toBe(1);
  });
});

onMqtt5((broker) => {
  it('the content type goes with the message, unless the publisher says another', async () => {
    await using service = await startMicroservice(broker);
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('out', { qos: 1 });
    const { client } = service;

    await client.publish('out', 1, { codec: 'cbor', qos: 1 });
    await client.publish('out', 1, { codec: 'msgpack', qos: 1, properties: { messageExpirySeconds: 60 } });
    await client.publish('out', 1, { codec: 'json', qos: 1, properties: { contentType: 'application/senml+json' } });
    await client.publish('out', 'x', { codec: hex, qos: 1 });
    await client.publish('out', 1, { qos: 1 });

    await expectEventually(
      () => device.received.map(({ properties }) => properties?.contentType),
      ['application/cbor', 'application/vnd.msgpack', 'application/senml+json', 'application/x-hex', undefined],
    );
  });

  it('the content type of a message selects the codec where the options allow it', async () => {
    received = [];
    const options = { contentTypeCodecs: ['cbor', 'json', hex] as const };
    await using _service = await startMicroservice(broker, { controllers: [Payloads], options });
    await using device = await TestDevice.connect(broker);
    const publish = (payload: Uint8Array, contentType: string) =>
      device.mqtt.publishAsync('in/any', Buffer.from(payload), { qos: 1, properties: { contentType } });

    await publish(encodeCbor({ a: 1 }), 'application/cbor');
    await publish(Buffer.from('6162'), 'application/x-hex');
    await publish(Buffer.from('6162'), 'text/plain');

    await expectEventually(
      () => received,
      [
        ['any', { a: 1 }],
        ['any', 'ab'],
        ['any', 6162],
      ],
    );
  });

  it('requests and their replies are binary end to end', async () => {
    await using service = await startMicroservice(broker, { controllers: [Payloads] });
    const bytes = new Uint8Array([1, 2, 250]);

    const sum = await service.client.request('sum/cbor', { bytes }, { codec: 'cbor' });
    const echo = await service.client.request('echo/hex', 'abc', { codec: hex });

    expect(sum).toEqual({ sum: 253, bytes: new Uint8Array([250, 2, 1]) });
    expect(echo).toBe('ABC');
  });

  it('errors come back as errors whatever the codec', async () => {
    await using service = await startMicroservice(broker, { controllers: [Payloads] });
    const { client } = service;

    await expect(client.request('fail/msgpack', 1, { codec: 'msgpack' })).rejects.toMatchObject({
      code: 'MQTT_REMOTE_ERROR',
      response: { status: 'error', message: 'empty' },
    });
    await expect(client.request('sum/cbor', Buffer.from([0xff]), { codec: 'raw' })).rejects.toMatchObject({
      code: 'MQTT_REMOTE_ERROR',
      response: { status: 'error', message: 'the payload cannot be decoded by codec "cbor"' },
    });
  });

  it('a reply that cannot be decoded fails its request, and no other', async () => {
    await using service = await startMicroservice(broker, { controllers: [Payloads] });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('ask', { qos: 1 });
    device.mqtt.on('message', (_topic, _payload, { properties }) => {
      const { responseTopic = '', correlationData } = properties ?? {};
      device.mqtt.publish(responseTopic, Buffer.from([0xff]), { properties: { correlationData: correlationData! } });
    });

    await expect(service.client.request('ask', 1, { codec: 'cbor' })).rejects.toMatchObject({
      code: 'MQTT_UNDECODABLE',
      codec: 'cbor',
    });
    await expect(service.client.request('echo/hex', 'a', { codec: hex })).resolves.toBe('A');
  });
});
