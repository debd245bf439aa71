import type { Clock } from './clock.js';
import type { Dial } from './network/dial.js';

/** What a test replaces: time, randomness, network. @publicApi */
export interface EventLoopRuntime {
  readonly clock?: Clock | undefined;
  /** Uniform in [0, 1). */
  readonly random?: (() => number) | undefined;
  readonly dial?: Dial | undefined;
}
