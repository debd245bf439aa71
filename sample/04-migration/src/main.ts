import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { Module, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { startBroker } from './embedded-broker.js';
import { OrdersController } from './orders.controller.js';
import { StockController } from './stock.controller.js';
import { builtIn, rumqtt, type ServiceTransport } from './transports.js';

/** The built-in transport does not wait until the broker has taken its subscriptions. */
const SUBSCRIBED_MS = 300;
const PATIENCE_MS = 10_000;

async function startService(controller: Type, { module, microservice }: ServiceTransport): Promise<INestMicroservice> {
  @Module({ ...module, controllers: [controller] })
  class ServiceModule {}
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(ServiceModule, {
    ...(microservice as AsyncMicroserviceOptions),
    logger: ['warn', 'error', 'fatal'],
  });
  await app.listen();
  return app;
}

async function eventually(description: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`it never happened: ${description}`);
    await delay(10);
  }
}

function expectEqual(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
  }
}

/** One state of the move: both services run, talk in both directions, and stop. */
async function talk(step: number, title: string, stockBy: ServiceTransport, ordersBy: ServiceTransport): Promise<void> {
  console.log(`\n${step}. ${title}: stock on ${stockBy.name}, orders on ${ordersBy.name}`);
  const stockApp = await startService(StockController, stockBy);
  const ordersApp = await startService(OrdersController, ordersBy);
  const stock = stockApp.get(StockController);
  const orders = ordersApp.get(OrdersController);
  await delay(SUBSCRIBED_MS);

  // At once: the built-in client subscribes and unsubscribes for each lone request.
  const answers = await Promise.all([
    orders.place('A', 'lamp', 1),
    orders.place('B', 'chair', 2),
    orders.place('C', 'sofa', 1),
  ]);
  ['A', 'B', 'C'].forEach((order, index) => console.log(`   orders -> stock  order ${order}: ${answers[index]}`));
  expectEqual(answers, ['placed, 2 left', 'placed, 0 left', 'refused: SOLD_OUT']);

  await eventually('the stock service hears of two orders', () => stock.placed.length === 2);
  console.log(`   orders -> stock  events: ${stock.placed.toSorted().join(', ')} placed`);
  await eventually('the orders service hears that stock is low', () => orders.low.length === 1);
  console.log(`   stock -> orders  event: ${orders.low.join()} is low`);

  await ordersApp.close();
  await stockApp.close();
}

const broker = await startBroker();
const before = builtIn(broker.url);
const after = rumqtt(broker.url);
await talk(1, 'Before', before, before);
await talk(2, 'The service that asks has moved', before, after);
await talk(3, 'Or the one that answers', after, before);
await talk(4, 'Both have moved', after, after);
console.log('\nThe same answers and events in every step.');
await broker.stop();
