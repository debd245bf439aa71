import { Injectable, Logger, Optional, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectMqttClient, MqttClient } from 'nestjs-rumqtt';
import { LocalCloud } from '../cloud/local-cloud.js';
import { CommandsService } from './commands.service.js';

/** A line a second: what the event loop is doing, how long the token is good, and whether anything is missing. */
@Injectable()
export class StatusLineService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Status');
  private timer: NodeJS.Timeout | undefined;
  private renewals = 0;
  private sentBefore = 0;

  constructor(
    @InjectMqttClient() private readonly mqtt: MqttClient,
    private readonly commands: CommandsService,
    @Optional() private readonly cloud?: LocalCloud,
  ) {
    mqtt.unwrap().on('credentials-renewed', () => this.renewals++);
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.logger.log(this.line()), 1_000);
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  line(): string {
    const loop = this.mqtt.unwrap();
    const { publishesSent, queued, inflight } = loop.stats();
    const rate = publishesSent - this.sentBefore;
    this.sentBefore = publishesSent;
    return [
      loop.status,
      `renewals ${this.renewals}`,
      `out ${publishesSent} (${rate}/s)`,
      `queue ${queued}`,
      `inflight ${inflight}`,
      `commands ${this.commands.received}, lost ${this.commands.lost}`,
      ...(this.cloud === undefined ? [] : [describe(this.cloud)]),
    ].join(' | ');
  }
}

function describe({ readings, refused, overQuota, expired }: LocalCloud): string {
  return `cloud: readings ${readings.received}, lost ${readings.lost}; refused ${refused}, over quota ${overQuota}, expired ${expired}`;
}
