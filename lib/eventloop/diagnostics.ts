import { channel, type Channel } from 'node:diagnostics_channel';
import type { Clock } from './clock.js';
import type { Emitter } from './emitter.js';
import type { EventLoopEvents } from './events.js';
import type { QoS } from './messages.js';
import type { PublishExchange } from './session/publish-exchange.js';

/**
 * What the channels `nestjs-rumqtt:<event>` of `node:diagnostics_channel` tell, one channel for each event of the event loop: the
 * event, and whose it is.
 *
 * @publicApi
 */
export type EventLoopDiagnostic<Event extends keyof EventLoopEvents> = EventLoopEvents[Event] & {
  /** As configured. */
  readonly clientId: string;
};

/** What the channel `nestjs-rumqtt:publish` tells when a publish has completed or failed. @publicApi */
export interface PublishDiagnostic {
  /** As configured. */
  readonly clientId: string;
  readonly topic: string;
  readonly qos: QoS;
  readonly payloadBytes: number;
  /** From the call to the end of the exchange, the time in the queue included. */
  readonly durationMs: number;
  /** Undefined when it completed. */
  readonly error: unknown;
}

const events = [
  'connected',
  'disconnected',
  'reconnecting',
  'paused',
  'throttled',
  'message-dropped',
  'subscription-refused',
  'handler-failed',
  'credentials-renewed',
  'credentials-renewal-failed',
  'closed',
] as const satisfies readonly (keyof EventLoopEvents)[];

const channels: readonly (readonly [keyof EventLoopEvents, Channel])[] = events.map((event) => [
  event,
  channel(`nestjs-rumqtt:${event}`),
]);

/** @internal */
export const publishChannel = channel('nestjs-rumqtt:publish');

/** Every event on its channel, for whoever watches all event loops of a process. @internal */
export function publishEvents(emitter: Emitter<EventLoopEvents>, clientId: () => string): void {
  for (const [event, ofEvent] of channels) {
    emitter.on(event, (payload) => {
      if (ofEvent.hasSubscribers) ofEvent.publish({ clientId: clientId(), ...payload });
    });
  }
}

/** To be called only when the channel has subscribers: it asks for the promise of the exchange. @internal */
export function publishOutcome(exchange: PublishExchange, clientId: string, clock: Clock): void {
  const startedAtMs = clock.now();
  const tell = (error: unknown): void => {
    const { topic, qos, payload } = exchange;
    const durationMs = clock.now() - startedAtMs;
    publishChannel.publish({
      clientId,
      topic,
      qos,
      payloadBytes: payload.length,
      durationMs,
      error,
    } satisfies PublishDiagnostic);
  };
  exchange.completed.then(() => tell(undefined), tell);
}
