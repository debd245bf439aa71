import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { MqttServer } from 'nestjs-rumqtt';
import { AppModule } from './app.module.js';

const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(AppModule, {
  inject: [MqttServer],
  useFactory: (strategy: MqttServer) => ({ strategy }),
});
app.enableShutdownHooks();
await app.listen();
