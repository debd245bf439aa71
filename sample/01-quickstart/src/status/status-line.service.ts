import { hostname } from 'node:os';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectMqttClient, MqttClient } from 'nestjs-rumqtt';
import { ReadingsService } from '../readings/readings.service.js';

/** A line a second: what the event loop is doing, and whether a reading is missing. */
@Injectable()
export class StatusLineService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Status');
  private timer: NodeJS.Timeout | undefined;

  constructor(
    @InjectMqttClient() private readonly mqtt: MqttClient,
    private readonly readings: ReadingsService,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.logger.log(this.line()), 1_000);
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  private line(): string {
    const loop = this.mqtt.unwrap();
    const stats = loop.stats();
    const summary = this.readings.summaryOf(hostname());
    return [
      loop.status,
      `in ${stats.messagesReceived}`,
      `out ${stats.publishesSent}`,
      `inflight ${stats.inflight}`,
      `queue ${stats.queued}`,
      `throttle wait ${Math.round(stats.throttleWaitMs)} ms`,
      `reconnects ${stats.reconnects}`,
      `lost ${summary?.lost ?? 0}`,
      `twice ${summary?.duplicates ?? 0}`,
    ].join(' | ');
  }
}
