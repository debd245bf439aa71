import { cpus, release } from 'node:os';
import type { Sample } from './measure.js';
import type { MemorySample } from './memory.js';
import { clientTitles, type ClientName, type Scenario } from './scenarios.js';

export interface CpuRow {
  readonly scenario: string;
  readonly client: ClientName;
  readonly messages: number;
  /** CPU microseconds a message, one number a round. */
  readonly rounds: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly messagesPerSecond: number;
}

export interface MemoryRow extends MemorySample {
  readonly scenario: string;
  readonly client: ClientName;
}

export function cpuRow(scenario: Scenario, client: ClientName, samples: readonly Sample[]): CpuRow {
  const rounds = samples.map((sample) => sample.cpuMicros / sample.messages);
  return {
    scenario: scenario.name,
    client,
    messages: samples[0]!.messages,
    rounds,
    median: median(rounds),
    min: Math.min(...rounds),
    max: Math.max(...rounds),
    messagesPerSecond: Math.round(median(samples.map((sample) => (sample.messages / sample.wallMs) * 1_000))),
  };
}

export function printCpuTable(scenarios: readonly Scenario[], rows: readonly CpuRow[]): void {
  const lines = [['', 'client', 'median', 'min – max', 'to ours', 'promised']];
  for (const scenario of scenarios) {
    const own = rows.filter((row) => row.scenario === scenario.name);
    const ours = own.find((row) => row.client === 'ours');
    for (const row of own) {
      const ratio = ours && row !== ours ? row.median / ours.median : undefined;
      lines.push([
        row === own[0] ? scenario.title : '',
        clientTitles[row.client],
        digits(row.median),
        `${digits(row.min)} – ${digits(row.max)}`,
        ratio === undefined ? '' : `${ratio.toFixed(1)} x`,
        ratio === undefined || !scenario.target
          ? ''
          : `${scenario.target} x ${ratio >= scenario.target ? 'kept' : 'MISSED'}`,
      ]);
    }
  }
  console.log(`\nCPU time of the client process, user and system, µs a message (${environment()})\n`);
  printColumns(lines);
}

export function printMemoryTable(rows: readonly MemoryRow[]): void {
  const lines = [['client', 'offered', 'bounds filled', 'growth after', 'unsettled', 'unsettled after close']];
  for (const row of rows) {
    lines.push([
      clientTitles[row.client],
      row.offered.toLocaleString('en'),
      megabytes(row.boundsBytes),
      megabytes(row.growthBytes),
      row.pendingBeforeClose.toLocaleString('en'),
      row.pendingAfterClose.toLocaleString('en'),
    ]);
  }
  console.log('\nResident memory while QoS 1 publishes of 256 B are offered to a dead broker without awaiting\n');
  printColumns(lines);
}

export function environment(): string {
  const processors = cpus();
  return `Node ${process.version}, ${processors.length} × ${processors[0]!.model.trim()}, ${process.platform} ${release()}`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function digits(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The first two columns to the left, numbers to the right. */
function printColumns(lines: readonly (readonly string[])[]): void {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    console.log(cells.join('   ').trimEnd());
  }
}
