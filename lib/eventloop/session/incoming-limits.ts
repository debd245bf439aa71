import type { IncomingMessage } from '../messages.js';
import type { AcknowledgeMode, IncomingOverflowPolicy } from '../options.js';
import type { DeliveryHooks } from './deliveries.js';

/** @internal */
export interface IncomingLimits {
  readonly acknowledge: AcknowledgeMode;
  readonly incomingCapacity: number;
  readonly incomingCapacityBytes: number;
  readonly incomingOverflow: IncomingOverflowPolicy;
  readonly receiveMaximum: number;
}

/** @internal */
export type DropReason = 'incoming-overflow' | 'no-consumer' | 'closing';

/** @internal */
export interface IncomingHooks extends DeliveryHooks {
  messageDropped(message: IncomingMessage, reason: DropReason): void;
  handlerFailed(message: IncomingMessage, error: unknown): void;
  /** A new connection to the same session: the server sends again what has not been acknowledged. */
  sentAgain(): void;
}

/** @internal */
export interface IncomingHost extends IncomingHooks {
  /** An outgoing exchange waits for its answer: not to read would block the handlers that wait for it. */
  waitsForAnswer(): boolean;
}
