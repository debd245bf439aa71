import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getMqttClientToken, JwtAuth, MqttServer, type MqttClient } from 'nestjs-rumqtt';
import { AppModule } from './app.module.js';
import { LocalCloud } from './cloud/local-cloud.js';
import { CommandsService } from './device/commands.service.js';
import { DeviceService } from './device/device.service.js';
import { readSettings } from './settings.js';

/** Ample for a command inside one process. */
const DELIVERY_MS = 500;

const logger = new Logger('Cloud sample');
const given = readSettings();
const cloud = given === undefined ? await LocalCloud.start() : undefined;
const settings = given ?? cloud!.settings;
logger.log(`device ${settings.deviceId} to ${settings.url}, tokens of ${settings.tokenSeconds} s`);

const app = await NestFactory.create(AppModule.register(settings, cloud));
app.connectMicroservice({ inject: [MqttServer], useFactory: (strategy: MqttServer) => ({ strategy }) });
await app.startAllMicroservices();
await app.init();

await new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve());
  const seconds = Number(process.env['RUN_SECONDS'] || 0);
  if (seconds > 0) setTimeout(resolve, seconds * 1_000);
});

cloud?.stopCommands();
await delay(DELIVERY_MS);
const commands = app.get(CommandsService);
const device = app.get(DeviceService);
const loop = app.get<MqttClient>(getMqttClientToken(), { strict: false }).unwrap();
const { accepted, refused } = app.get(JwtAuth).verifier.stats();
await app.close();

const { publishesCompleted, publishesFailed, reconnects } = loop.stats();
logger.log(
  `readings: ${device.published} taken, ${publishesCompleted} acknowledged, ${publishesFailed} failed; ${reconnects} reconnects`,
);
logger.log(
  `commands: ${commands.received} obeyed, ${commands.lost} lost; tokens: ${accepted} verified, ${JSON.stringify(refused)} refused`,
);
if (cloud !== undefined) {
  await cloud.stop();
  logger.log(
    `cloud: ${cloud.readings.received} readings, ${cloud.readings.lost} lost; ${cloud.commands} commands sent; ` +
      `${cloud.accepted} connections, ${cloud.refused} refused, ${cloud.expired} expired, ${cloud.overQuota} over the quota`,
  );
  const isWhole = cloud.readings.lost + commands.lost + (cloud.commands - commands.received) + cloud.refused === 0;
  process.exit(isWhole ? 0 : 1);
}
process.exit(0);
