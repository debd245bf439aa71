import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectMqttClient, MqttClient } from 'nestjs-rumqtt';
import { ownRun, type Reading } from '../readings/reading.js';
import { Computer } from './computer.js';

const INTERVAL_MS = 500;

/** The device: measures this computer and publishes what it finds, numbered, at QoS 1. */
@Injectable()
export class DeviceService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Device');
  private readonly computer = new Computer();
  private readonly stopped = new AbortController();
  /** Readings that the client has taken. */
  published = 0;
  /** Of those, the ones that the broker has acknowledged. */
  acknowledged = 0;

  constructor(@InjectMqttClient() private readonly mqtt: MqttClient) {}

  onApplicationBootstrap(): void {
    this.run().catch((error: unknown) => {
      if (!this.stopped.signal.aborted) this.logger.error(error);
    });
  }

  onModuleDestroy(): void {
    this.stopped.abort();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopped;
    for (;;) {
      await delay(INTERVAL_MS, undefined, { signal });
      for (const [metric, values] of this.computer.measure()) {
        // Waits when the queue is full, so a long outage slows the device down instead of filling the memory.
        await this.publish(metric, values);
        signal.throwIfAborted();
      }
    }
  }

  private async publish(metric: string, values: Reading['values']): Promise<void> {
    const reading: Reading = { run: ownRun, sequence: this.published + 1, at: new Date().toISOString(), values };
    const delivery = await this.mqtt.enqueue(`hosts/${hostname()}/${metric}`, reading, { qos: 1 });
    this.published++;
    delivery.completed.then(
      () => this.acknowledged++,
      (error: unknown) => {
        if (!this.stopped.signal.aborted) this.logger.error(error);
      },
    );
  }
}
