import type { IncomingMessage } from '../eventloop/messages.js';
import { ConcurrencyGate } from './concurrency-gate.js';
import { KeyLanes } from './key-lanes.js';
import type { SettlementSettings } from './settlement-settings.js';

/** How one handler's messages are run and settled: its options, made ready at registration. @internal */
export interface SettlementPlan extends SettlementSettings {
  /** Whether the message waits for this handler's decision. */
  readonly hasSay: boolean;
  readonly gate: ConcurrencyGate | undefined;
  readonly lanes: KeyLanes | undefined;
  readonly keyOf: ((message: IncomingMessage) => string) | undefined;
}

/** @internal */
export function planSettlement(settings: SettlementSettings): SettlementPlan {
  const { acknowledge, concurrency, ordering } = settings;
  return Object.freeze({
    ...settings,
    hasSay: acknowledge !== 'on-receive',
    gate: concurrency === undefined ? undefined : new ConcurrencyGate(concurrency),
    lanes: ordering === 'none' ? undefined : new KeyLanes(),
    keyOf: ordering === 'none' ? undefined : ordering,
  });
}
