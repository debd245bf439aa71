import { setTimeout as delay } from 'node:timers/promises';
import { Controller, ConflictException, Inject, Logger, Post, Query } from '@nestjs/common';
import { EmbeddedBroker } from './embedded-broker.js';

const LONGEST_OUTAGE_SECONDS = 60;

/** Takes the embedded broker away for a while, to see what becomes of the readings. */
@Controller('broker')
export class BrokerController {
  private readonly logger = new Logger('Broker');
  private outage = false;

  constructor(@Inject(EmbeddedBroker) private readonly broker: EmbeddedBroker | null) {}

  @Post('stop')
  stop(@Query('seconds') seconds = '5'): string {
    if (!this.broker) throw new ConflictException('MQTT_URL is set: stop and start that broker yourself');
    if (this.outage) throw new ConflictException('the broker is stopped already');
    const outageSeconds = Math.min(Math.max(Number(seconds) || 0, 1), LONGEST_OUTAGE_SECONDS);
    this.takeAway(this.broker, outageSeconds).catch((error: unknown) => this.logger.error(error));
    return `the broker is away for ${outageSeconds} s; watch the status line\n`;
  }

  private async takeAway(broker: EmbeddedBroker, seconds: number): Promise<void> {
    this.outage = true;
    try {
      this.logger.warn(`stops for ${seconds} s`);
      await broker.stop();
      await delay(seconds * 1_000, undefined, { ref: false });
      await broker.start();
      this.logger.warn('is back, and knows nobody');
    } finally {
      this.outage = false;
    }
  }
}
