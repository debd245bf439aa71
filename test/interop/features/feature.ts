import type { Visit } from '../visit.js';

/** A row of the table: what brokers do, and the test that it is so. */
export interface Feature {
  readonly row: string;
  /** What a cell can say. */
  readonly cells: Readonly<Record<string, string>>;
  /** @param stated the key of the cell that the broker's column has */
  assertStated(visit: Visit, stated: string): Promise<void>;
}
