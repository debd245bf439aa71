import { createRequire } from 'node:module';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ajv } from 'ajv';
import { getMqttServerToken, MqttEvent, MqttMessage, MqttModule, MqttServer } from 'nestjs-rumqtt';
import { toAsyncApi } from 'nestjs-rumqtt/asyncapi';
import { expect, it } from 'vitest';

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
