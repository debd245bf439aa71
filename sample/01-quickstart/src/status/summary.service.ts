import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectMqttClient, MqttClient } from 'nestjs-rumqtt';
import type { HostSummary } from '../readings/readings.service.js';

const INTERVAL_MS = 5_000;

/** Asks for the summary of this computer, as any service would: by a request over MQTT. */
@Injectable()
export class SummaryService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Summary');
  private readonly stopped = new AbortController();

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
      try {
        this.logger.log(
          describe(
            await this.mqtt.request<HostSummary>(`hosts/${hostname()}/summary`, {}, { timeoutMs: 3_000, signal }),
          ),
        );
      } catch (error) {
        if (!signal.aborted) this.logger.warn(`no answer: ${String(error)}`);
      }
    }
  }
}

function describe({ host, readings, latest }: HostSummary): string {
  const cores = Object.entries(latest)
    .filter(([metric]) => metric.startsWith('cpu/'))
    .map(([, values]) => values['usagePercent'] ?? 0);
  const cpu = cores.reduce((sum, usage) => sum + usage, 0) / cores.length;
  const { totalBytes = 0, freeBytes = 0 } = latest['memory'] ?? {};
  const used = (totalBytes - freeBytes) / 2 ** 30;
  return `${host}: ${readings} readings, ${cores.length} cores at ${cpu.toFixed(0)} %, ${used.toFixed(1)} of ${(totalBytes / 2 ** 30).toFixed(1)} GiB used`;
}
