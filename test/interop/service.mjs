// A Nest service in a process of its own: node service.mjs <directory of the library> <module options as JSON>. Tells its parent
// what its handler begins and finishes; told to 'hold', the handler begins and never finishes.
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { setTimeout as sleep } from 'node:timers/promises';

const [library, json] = process.argv.slice(2);
const { MqttEvent, MqttModule, MqttServer } = await import(`${library}/index.js`);

let holds = false;
process.on('message', () => {
  holds = true;
  process.send({ event: 'holding' });
});
process.on('disconnect', () => process.exit());

class Orders {
  async place({ key, number }) {
    process.send({ event: 'began', key, number });
    if (holds) await new Promise(() => {});
    // Later ones would overtake if nothing held them back.
    await sleep(20 - (number % 20));
    process.send({ event: 'finished', key, number });
  }
}
// No decorators in plain JavaScript.
const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'place');
MqttEvent('orders/+key', { qos: 1, ordering: 'topic' })(Orders.prototype, 'place', descriptor);
Controller()(Orders);

class Service {}
Module({ imports: [MqttModule.register(JSON.parse(json))], controllers: [Orders] })(Service);

const app = await NestFactory.createMicroservice(Service, {
  inject: [MqttServer],
  useFactory: (server) => ({ strategy: server }),
  logger: ['error'],
});
await app.listen();
process.send({ event: 'listening' });
