import 'reflect-metadata';
import { hostname } from 'node:os';
import { Logger, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getMqttClientToken, MqttServer, type MqttClient } from 'nestjs-rumqtt';
import { AppModule } from './app.module.js';
import { EmbeddedBroker } from './broker/embedded-broker.js';
import { DeviceService } from './device/device.service.js';
import { ReadingsService } from './readings/readings.service.js';
import { readSettings } from './settings.js';

const logger = new Logger('Quickstart');
const settings = readSettings();

async function startBroker(): Promise<EmbeddedBroker> {
  const broker = new EmbeddedBroker(settings.mqttPort);
  await broker
    .start()
    .catch((error: unknown) =>
      explainTakenPort(
        error,
        settings.mqttPort,
        `MQTT_PORT=1884 npm start takes another one, MQTT_URL=${broker.url} npm start uses the broker that runs there`,
      ),
    );
  logger.log(`embedded broker on ${broker.url}`);
  return broker;
}

async function startApplication(broker: EmbeddedBroker | null): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule.register(settings.mqttUrl ?? broker!.url, broker));
  app.connectMicroservice({ inject: [MqttServer], useFactory: (strategy: MqttServer) => ({ strategy }) });
  await app.startAllMicroservices();
  await app
    .listen(settings.httpPort)
    .catch((error: unknown) => explainTakenPort(error, settings.httpPort, 'PORT=3001 npm start takes another one'));
  logger.log(`health: curl localhost:${settings.httpPort}/health`);
  if (broker) logger.log(`an outage: curl -X POST 'localhost:${settings.httpPort}/broker/stop?seconds=5'`);
  return app;
}

/** Closes the application, which sends what is queued, and tells what that was. */
async function drain(app: INestApplication): Promise<void> {
  const loop = app.get<MqttClient>(getMqttClientToken(), { strict: false }).unwrap();
  const before = loop.stats();
  await app.close();
  const after = loop.stats();
  const device = app.get(DeviceService);
  const summary = app.get(ReadingsService).summaryOf(hostname());
  logger.log(
    `drained: ${after.publishesCompleted - before.publishesCompleted} publishes that waited were acknowledged, ` +
      `${after.publishesFailed - before.publishesFailed} were given up; ${before.unsettled} running handlers were waited for`,
  );
  logger.log(
    `readings: ${device.published} published, ${device.acknowledged} acknowledged by the broker, ` +
      `${summary?.readings ?? 0} handled before the intake was closed, ` +
      `lost ${summary?.lost ?? 0}, twice ${summary?.duplicates ?? 0}`,
  );
}

function explainTakenPort(error: unknown, port: number, cure: string): never {
  if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
    logger.fatal(`port ${port} is taken: ${cure}`);
    process.exit(1);
  }
  throw error;
}

const stopped = new Promise<void>((resolve) => {
  // npm passes on the signal that the terminal has sent already. The second one must not cut the drain short, which has a deadline.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
});
const broker = settings.mqttUrl ? null : await startBroker();
const app = await startApplication(broker);
await stopped;
await drain(app);
await broker?.stop();
process.exit(0);
