import { Module, type DynamicModule } from '@nestjs/common';
import { JwtAuth, jwt, MqttModule } from 'nestjs-rumqtt';
import { LocalCloud } from './cloud/local-cloud.js';
import { PUBLISHES_PER_SECOND } from './cloud/publish-quota.js';
import { CommandsController } from './device/commands.controller.js';
import { CommandsService } from './device/commands.service.js';
import { DeviceService } from './device/device.service.js';
import { StatusLineService } from './device/status-line.service.js';
import type { Settings } from './settings.js';
import { SETTINGS } from './settings.token.js';

@Module({})
export class AppModule {
  static register(settings: Settings, cloud: LocalCloud | undefined): DynamicModule {
    const { url, deviceId, projectId, tls, tokenKey, tokenSeconds, keysUrl } = settings;
    return {
      module: AppModule,
      imports: [
        MqttModule.register({
          url,
          clientId: deviceId,
          tls,
          credentials: jwt({
            key: tokenKey,
            algorithm: 'ES256',
            audience: projectId,
            subject: deviceId,
            expiresInSeconds: tokenSeconds,
            username: 'unused',
          }),
          // What is sent to us while we connect again with a fresh token waits in the broker.
          clean: false,
          sessionExpirySeconds: 3_600,
          throttle: PUBLISHES_PER_SECOND,
          reconnect: { policy: 'always', maxDelayMs: 10_000 },
          drainTimeoutMs: 15_000,
        }),
      ],
      controllers: [CommandsController],
      providers: [
        CommandsService,
        DeviceService,
        StatusLineService,
        { provide: SETTINGS, useValue: settings },
        {
          provide: JwtAuth,
          useFactory: () =>
            new JwtAuth({
              keys: keysUrl,
              algorithms: ['EdDSA'],
              audience: deviceId,
              // The broker speaks MQTT 3.1.1, which has no user properties.
              tokenIn: { payloadField: 'token' },
            }),
        },
        ...(cloud === undefined ? [] : [{ provide: LocalCloud, useValue: cloud }]),
      ],
    };
  }
}
