import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectMqttClient, MqttClient } from 'nestjs-rumqtt';
import { SETTINGS } from '../settings.token.js';
import type { Settings } from '../settings.js';

/** The device: has more to say than the cloud takes in a second, and says it in order, at QoS 1. */
@Injectable()
export class DeviceService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Device');
  private isStopped = false;
  /** Readings that the client has taken. */
  published = 0;

  constructor(
    @InjectMqttClient() private readonly mqtt: MqttClient,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  onApplicationBootstrap(): void {
    this.run().catch((error: unknown) => {
      if (!this.isStopped) this.logger.error(error);
    });
  }

  onModuleDestroy(): void {
    this.isStopped = true;
  }

  private async run(): Promise<void> {
    const topic = `devices/${this.settings.deviceId}/readings`;
    while (!this.isStopped) {
      const reading = { sequence: this.published + 1, at: new Date().toISOString(), celsius: 20 + Math.random() };
      // Waits while the queue is full: the throttle sets the pace of the whole device.
      const { completed } = await this.mqtt.enqueue(topic, reading, { qos: 1 });
      this.published++;
      completed.catch((error: unknown) => {
        if (!this.isStopped) this.logger.error(error);
      });
    }
  }
}
