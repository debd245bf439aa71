import { readFileSync } from 'node:fs';
import { cpus, freemem, loadavg, platform, totalmem } from 'node:os';

/** Numbers by the topic they belong to, below `hosts/<hostname>/`. */
export type Measurements = ReadonlyMap<string, Readonly<Record<string, number>>>;

interface Traffic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** This computer's own metrics. Usage and rates are those since the previous measurement. */
export class Computer {
  private cores = coreTimes();
  private traffic = readTraffic();
  private measuredAtMs = performance.now();

  measure(): Measurements {
    const now = performance.now();
    const seconds = (now - this.measuredAtMs) / 1_000;
    this.measuredAtMs = now;
    const measurements = new Map<string, Record<string, number>>();
    measurements.set('memory', { totalBytes: totalmem(), freeBytes: freemem() });
    this.addCores(measurements);
    this.addTraffic(measurements, seconds);
    if (platform() !== 'win32') {
      const [oneMinute, fiveMinutes, fifteenMinutes] = loadavg() as [number, number, number];
      measurements.set('load', { oneMinute, fiveMinutes, fifteenMinutes });
    }
    return measurements;
  }

  private addCores(measurements: Map<string, Record<string, number>>): void {
    const cores = coreTimes();
    cores.forEach(({ total, idle }, core) => {
      const before = this.cores[core];
      // The counters tick every 10 ms: no tick, no usage to tell.
      if (!before || total === before.total) return;
      const usagePercent = 100 * (1 - (idle - before.idle) / (total - before.total));
      measurements.set(`cpu/${core}`, { usagePercent });
    });
    this.cores = cores;
  }

  private addTraffic(measurements: Map<string, Record<string, number>>, seconds: number): void {
    const traffic = readTraffic();
    for (const [name, { receivedBytes, sentBytes }] of traffic) {
      const before = this.traffic.get(name);
      if (!before) continue;
      measurements.set(`network/${name}`, {
        receivedBytes,
        sentBytes,
        receivedBytesPerSecond: (receivedBytes - before.receivedBytes) / seconds,
        sentBytesPerSecond: (sentBytes - before.sentBytes) / seconds,
      });
    }
    this.traffic = traffic;
  }
}

function coreTimes(): { total: number; idle: number }[] {
  return cpus().map(({ times }) => ({
    total: times.user + times.nice + times.sys + times.idle + times.irq,
    idle: times.idle,
  }));
}

/** By interface. Linux tells; Node has no such counters of its own, so elsewhere there are no network readings. */
function readTraffic(): ReadonlyMap<string, Traffic> {
  if (platform() !== 'linux') return new Map();
  const [, , ...lines] = readFileSync('/proc/net/dev', 'utf8').trimEnd().split('\n');
  return new Map(
    lines.map((line) => {
      const [name, counters] = line.split(':') as [string, string];
      const columns = counters.trim().split(/\s+/).map(Number);
      return [name.trim(), { receivedBytes: columns[0] ?? 0, sentBytes: columns[8] ?? 0 }];
    }),
  );
}
