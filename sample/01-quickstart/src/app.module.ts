import { Module, type DynamicModule } from '@nestjs/common';
import { MqttModule } from 'nestjs-rumqtt';
import { BrokerController } from './broker/broker.controller.js';
import { EmbeddedBroker } from './broker/embedded-broker.js';
import { DeviceService } from './device/device.service.js';
import { ReadingsController } from './readings/readings.controller.js';
import { ReadingsService } from './readings/readings.service.js';
import { HealthController } from './status/health.controller.js';
import { StatusLineService } from './status/status-line.service.js';
import { SummaryService } from './status/summary.service.js';

@Module({})
export class AppModule {
  static register(url: string, broker: EmbeddedBroker | null): DynamicModule {
    return {
      module: AppModule,
      imports: [
        MqttModule.register({
          url,
          throttle: 100,
          reconnect: { policy: 'always', maxDelayMs: 2_000 },
          drainTimeoutMs: 5_000,
        }),
      ],
      controllers: [ReadingsController, HealthController, BrokerController],
      providers: [
        ReadingsService,
        DeviceService,
        StatusLineService,
        SummaryService,
        { provide: EmbeddedBroker, useValue: broker },
      ],
    };
  }
}
