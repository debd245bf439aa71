import { systemClock, type Clock } from './clock.js';
import type { Dial } from './network/dial.js';
import { Network } from './network/network.js';
import { resolveSrv, type ResolveSrv } from './network/srv-lookup.js';

/** What a test replaces: time, randomness, network. @publicApi */
export interface EventLoopRuntime {
  readonly clock?: Clock | undefined;
  /** Uniform in [0, 1). */
  readonly random?: (() => number) | undefined;
  readonly dial?: Dial | undefined;
  /** How `mqtt+srv:` and `mqtts+srv:` URLs are looked up. */
  readonly resolveSrv?: ResolveSrv | undefined;
}

/** @internal */
export type CompleteRuntime = { readonly [K in keyof EventLoopRuntime]-?: NonNullable<EventLoopRuntime[K]> };

/** The real world, where a test replaces nothing. @internal */
export function completeRuntime(runtime: EventLoopRuntime): CompleteRuntime {
  return {
    clock: runtime.clock ?? systemClock,
    random: runtime.random ?? Math.random,
    dial: runtime.dial ?? new Network().dial,
    resolveSrv: runtime.resolveSrv ?? resolveSrv,
  };
}
