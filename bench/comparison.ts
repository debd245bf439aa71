import { median } from './report.js';

/** One figure of two commits. */
export interface Comparison {
  readonly title: string;
  readonly unit: string;
  readonly mine: number;
  readonly theirs: number;
  /** Median, least and largest of the rounds' own ratios, the working tree to the other commit: below 1 is better. NaN where the other is 0. */
  readonly ratio: number;
  readonly min: number;
  readonly max: number;
  /** The rounds do not agree on which one is better, or the difference is too small to matter. */
  readonly isNoise: boolean;
}

/** The part of all rounds that must agree. */
const AGREEMENT = 0.85;
/** As the layout of code in memory alone can make. */
const SMALLEST_DIFFERENCE = 0.02;

/** Rounds are pairs: what disturbs the machine for a while disturbs both. */
export function compareRounds(
  title: string,
  unit: string,
  mine: readonly number[],
  theirs: readonly number[],
): Comparison {
  const ratios = mine.map((figure, round) => figure / theirs[round]!);
  const ratio = median(ratios);
  const agreeing = ratios.filter((one) => (ratio < 1 ? one < 1 : one > 1)).length;
  const isNoise = !(Math.abs(ratio - 1) > SMALLEST_DIFFERENCE && agreeing >= AGREEMENT * ratios.length);
  return {
    title,
    unit,
    mine: median(mine),
    theirs: median(theirs),
    ratio,
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    isNoise,
  };
}

export function describeComparison({ isNoise, ratio }: Comparison): string {
  if (isNoise) return 'within noise';
  const percent = Math.abs(ratio - 1) * 100;
  return `${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} % ${ratio < 1 ? 'less' : 'MORE'}`;
}
