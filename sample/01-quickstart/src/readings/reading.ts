import { randomUUID } from 'node:crypto';

/** The payload of every `hosts/<hostname>/…` topic. */
export interface Reading {
  /** One life of the device that sent it. */
  readonly run: string;
  /** Counts the readings of a run from 1 on, over all topics: a gap is a loss. */
  readonly sequence: number;
  readonly at: string;
  readonly values: Readonly<Record<string, number>>;
}

/** This process's own run. */
export const ownRun = randomUUID();
