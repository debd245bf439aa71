import { createRequire } from 'node:module';
import { Controller, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ajv } from 'ajv';
import { getMqttServerToken, MqttEvent, MqttMessage, MqttModule, MqttServer } from 'nestjs-rumqtt';
import { toAsyncApi } from 'nestjs-rumqtt/asyncapi';
import { expect, it } from 'vitest';
import { z } from 'zod';

const schema = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0-without-$id.json') as object;
const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);

@Controller()
class Handlers {
  @MqttEvent('plants/+plant/sensors/#sensor', { qos: 2, share: 'workers' })
  record(): void {
    // Only described here.
  }

  @MqttMessage('plants/+plant/sensors/#sensor')
  answer(): void {
    // Only described here.
  }

  @MqttMessage('rows/+')
  row(): void {
    // Only described here.
  }

  @MqttEvent('rows/x', { name: 'factory', acknowledge: 'manual', ordering: 'topic', deadLetter: 'dead/{topic}' })
  factory(): void {
    // Only described here.
  }
}

@Module({
  // Nobody listens there, and nobody is asked.
  imports: [
    MqttModule.register({ url: 'mqtt://127.0.0.1:1' }),
    MqttModule.register({ url: 'mqtt://127.0.0.1:1', name: 'factory' }),
  ],
  controllers: [Handlers],
})
class AppModule {}

const Reading = z.object({ celsius: z.string().transform(Number) });

@Controller()
class Described {
  @MqttEvent('readings/+', { payloadSchema: Reading })
  zod(): void {
    // Only described here.
  }

  @MqttEvent('readings/+', { payloadSchema: { type: 'object', required: ['kelvin'] } })
  plain(): void {
    // Only described here.
  }

  @MqttEvent('readings/+')
  any(): void {
    // Only described here.
  }
}

@Controller()
class Undescribable {
  @MqttEvent('dates', { payloadSchema: z.date() })
  date(): void {
    // Only described here.
  }
}

async function serverOf(controller: Type): Promise<MqttServer> {
  @Module({ imports: [MqttModule.register({ url: 'mqtt://127.0.0.1:1' })], controllers: [controller] })
  class OneController {}
  const app = await NestFactory.create(OneController, { logger: false });
  const strategy = app.get(MqttServer);
  app.connectMicroservice({ strategy });
  return strategy;
}

it('puts out payload schemas as JSON Schema of what is on the wire, each with its handler', async () => {
  const document = toAsyncApi(await serverOf(Described), { title: 'Plants', version: '1.0.0' });

  validate(document);
  expect(validate.errors).toBeNull();
  expect(document.channels['readings-level0']).toMatchObject({
    messages: {
      'event-readings-level0': {
        payload: { type: 'object', properties: { celsius: { type: 'string' } }, required: ['celsius'] },
      },
      'event-readings-level0-2': { payload: { type: 'object', required: ['kelvin'] } },
      message: {},
    },
  });
  const messagesOf = (operation: string): unknown => (document.operations[operation] as { messages: unknown }).messages;
  expect(['', '-2', '-3'].map((suffix) => messagesOf(`event-readings-level0${suffix}`))).toEqual([
    [{ $ref: '#/channels/readings-level0/messages/event-readings-level0' }],
    [{ $ref: '#/channels/readings-level0/messages/event-readings-level0-2' }],
    [{ $ref: '#/channels/readings-level0/messages/message' }],
  ]);
});

it('names the handler whose schema JSON Schema cannot express', async () => {
  const server = await serverOf(Undescribable);

  expect(() => server.describeHandlers()).toThrow(
    'payloadSchema of the handler for "dates" is a schema of zod, expected one that JSON Schema can express: ',
  );
});

it.each([[5], ['object'], [[]], [class Dto {}], [{ '~standard': { vendor: 'old', validate: () => undefined } }]])(
  'refuses what is no schema: %s',
  (payloadSchema) => {
    const server = new MqttServer();
    server.addHandler('a', async () => undefined, true, { payloadSchema });

    expect(() => server.describeHandlers()).toThrow('payloadSchema of the handler for "a" is');
  },
);

it('describes the handlers of an application that is not connected, in a valid AsyncAPI 3 document', async () => {
  const app = await NestFactory.create(AppModule, { logger: false });
  const servers = [app.get(MqttServer), app.get<MqttServer>(getMqttServerToken('factory'))];
  for (const strategy of servers) app.connectMicroservice({ strategy });

  const document = toAsyncApi(servers, { title: 'Plants', version: '1.0.0' });

  validate(document);
  expect(validate.errors).toBeNull();
  expect(document.channels).toMatchObject({
    'plants-plant-sensors-sensor': {
      address: 'plants/{plant}/sensors/{sensor}',
      parameters: { plant: {}, sensor: {} },
    },
    'rows-level0': { address: 'rows/{level0}' },
    'factory-rows-x': { address: 'rows/x' },
  });
  expect(document.operations).toMatchObject({
    'event-plants-plant-sensors-sensor': {
      action: 'receive',
      channel: { $ref: '#/channels/plants-plant-sensors-sensor' },
      bindings: { mqtt: { qos: 2 } },
      'x-nestjs-rumqtt': { subscription: '$share/workers/plants/+/sensors/#', acknowledge: 'after-handler' },
    },
    'message-plants-plant-sensors-sensor': { reply: { address: { location: '$message.header#/responseTopic' } } },
    'factory-event-rows-x': {
      'x-nestjs-rumqtt': { acknowledge: 'manual', ordering: 'topic', deadLetterTopic: 'dead/{topic}', attempts: 1 },
    },
  });
  expect(validate({ ...document, operations: { x: { action: 'eat' } } })).toBe(false);
});
