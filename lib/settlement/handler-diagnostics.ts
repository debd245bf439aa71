import { channel } from 'node:diagnostics_channel';
import type { QoS } from '../eventloop/messages.js';

/** How a call of a handler ended. `answered-error`: the requester was told of an error. @publicApi */
export type HandlerOutcome = 'succeeded' | 'failed' | 'answered-error';

/** What the channel `nestjs-rumqtt:handler` of `node:diagnostics_channel` tells when a call of a handler has ended. @publicApi */
export interface HandlerDiagnostic {
  /** The `MqttServer` that the handler belongs to. */
  readonly server: object;
  /** As declared. */
  readonly pattern: string;
  readonly kind: 'event' | 'message';
  readonly topic: string;
  readonly qos: QoS;
  /** From 1. */
  readonly attempt: number;
  /** From the call to the end of what it returned, the reply included. */
  readonly durationMs: number;
  readonly outcome: HandlerOutcome;
  /** What was thrown. */
  readonly error: unknown;
}

/** @internal */
export const handlerChannelName = 'nestjs-rumqtt:handler';

/** @internal */
export const handlerChannel = channel(handlerChannelName);
