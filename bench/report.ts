import { cpus, release } from 'node:os';
import type { Entrant, Goal, Metric, Scenario } from './scenarios.js';
import type { Sample } from './tasks.js';

/** An entrant of a row, and what each round measured. */
export interface Entry {
  readonly scenario: Scenario;
  readonly entrant: Entrant;
  readonly samples: Sample[];
}

/** One figure of one entrant. */
export interface Line {
  readonly row: string;
  readonly title: string;
  readonly entrant: string;
  readonly entrantTitle: string;
  readonly metric: string;
  readonly unit: string;
  /** One number a round. */
  readonly rounds: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** To the row's first entrant, which has none. */
  readonly ratio: number | undefined;
  readonly verdicts: readonly Verdict[];
}

export interface Verdict {
  readonly goal: string;
  readonly isKept: boolean;
  readonly isStretch: boolean;
}

export function linesOf(entries: readonly Entry[]): Line[] {
  return [...new Set(entries.map(({ scenario }) => scenario))].flatMap((scenario) => {
    const own = entries.filter((entry) => entry.scenario === scenario);
    return scenario.metrics.flatMap((metric) => linesOfMetric(scenario, metric, own));
  });
}

function linesOfMetric(scenario: Scenario, metric: Metric, entries: readonly Entry[]): Line[] {
  const figures = entries.map(({ samples }) => samples.map((sample) => sample[metric.key]!));
  const medians = figures.map(median);
  const hasReference = entries[0]!.entrant === scenario.entrants[0];
  return entries.map(({ entrant }, index) => {
    const rounds = figures[index]!;
    const isReference = entrant === scenario.entrants[0];
    const ratio = hasReference && !isReference && medians[0]! > 0 ? medians[index]! / medians[0]! : undefined;
    return {
      row: scenario.name,
      title: scenario.title,
      entrant: entrant.name,
      entrantTitle: entrant.title,
      metric: metric.key,
      unit: metric.unit,
      rounds,
      median: medians[index]!,
      min: Math.min(...rounds),
      max: Math.max(...rounds),
      ratio,
      verdicts: metric.goals.flatMap((goal) => verdict(goal, entrant, medians[index]!, ratio, isReference) ?? []),
    };
  });
}

function verdict(
  goal: Goal,
  entrant: Entrant,
  figure: number,
  ratio: number | undefined,
  isReference: boolean,
): Verdict | undefined {
  if ('most' in goal) {
    if (!isReference) return undefined;
    return { goal: `≤ ${goal.most}`, isKept: figure <= goal.most, isStretch: goal.isStretch ?? false };
  }
  if (ratio === undefined) return undefined;
  if ('flatWithin' in goal) {
    if (goal.except.includes(entrant.name)) return undefined;
    return { goal: `≤ ${1 + goal.flatWithin} x`, isKept: ratio <= 1 + goal.flatWithin, isStretch: false };
  }
  if (goal.than !== entrant.name) return undefined;
  return {
    goal: `≥ ${Number(goal.times.toFixed(2))} x`,
    isKept: ratio >= goal.times,
    isStretch: goal.isStretch ?? false,
  };
}

export function printTable(lines: readonly Line[], where: string): void {
  const table = [['', 'client', 'median', 'min – max', '', 'to the first', 'goal']];
  let title = '';
  for (const line of lines) {
    table.push([
      line.title === title ? '' : line.title,
      line.entrantTitle,
      digits(line.median),
      `${digits(line.min)} – ${digits(line.max)}`,
      line.unit,
      line.ratio === undefined ? '' : `${digits(line.ratio)} x`,
      line.verdicts.map(describeVerdict).join(', '),
    ]);
    ({ title } = line);
  }
  console.log(`\nµs CPU: user and system time of the client process for one message. ${where}\n`);
  printColumns(table, [2, 3, 5]);
}

export function describeVerdict({ goal, isKept, isStretch }: Verdict): string {
  return `${goal} ${isKept ? 'kept' : 'MISSED'}${isStretch ? ' (stretch)' : ''}`;
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

export function digits(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
}

/** Text to the left, the columns of numbers to the right. */
export function printColumns(lines: readonly (readonly string[])[], numbers: readonly number[]): void {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      numbers.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
    );
    console.log(cells.join('  ').trimEnd());
  }
}
