import { Injectable } from '@nestjs/common';
import { ownRun, type Reading } from './reading.js';
import { SequenceCheck } from './sequence-check.js';

export interface HostSummary {
  readonly host: string;
  readonly readings: number;
  readonly lost: number;
  readonly duplicates: number;
  /** The latest values of each topic below `hosts/<host>/`. */
  readonly latest: Readonly<Record<string, Reading['values']>>;
}

interface Host {
  sequence: SequenceCheck;
  readonly latest: Map<string, Reading['values']>;
}

/** What the handlers have received, by host. */
@Injectable()
export class ReadingsService {
  private readonly hosts = new Map<string, Host>();

  record(hostname: string, metric: string, reading: Reading): void {
    let host = this.hosts.get(hostname);
    if (!host) this.hosts.set(hostname, (host = { sequence: checkOf(reading), latest: new Map() }));
    if (host.sequence.run !== reading.run) host.sequence = checkOf(reading);
    host.sequence.add(reading.sequence);
    host.latest.set(metric, reading.values);
  }

  summaryOf(hostname: string): HostSummary | undefined {
    const host = this.hosts.get(hostname);
    if (!host) return undefined;
    const { received, lost, duplicates } = host.sequence;
    return { host: hostname, readings: received, lost, duplicates, latest: Object.fromEntries(host.latest) };
  }
}

/** Of our own run every reading is due; of another one, those from here on. */
function checkOf(reading: Reading): SequenceCheck {
  return new SequenceCheck(reading.run, reading.run === ownRun ? 1 : reading.sequence);
}
