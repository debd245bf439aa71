import type { EventLoop } from './eventloop/event-loop.js';
import type { EventLoopEvents, EventLoopStatus } from './eventloop/events.js';

/** The event loop's events, as Nest types the `on` methods of servers and clients. @publicApi */
export type MqttConnectionEvents = { [Event in keyof EventLoopEvents]: (payload: EventLoopEvents[Event]) => void };

/** Feeds Nest's `status` observable. @internal */
export function forwardStatus(loop: EventLoop, status: { next(status: EventLoopStatus): void }): void {
  const forward = (): void => status.next(loop.status);
  forward();
  loop.on('connected', forward);
  loop.on('disconnected', forward);
  loop.on('reconnecting', forward);
  loop.on('paused', forward);
  loop.on('closed', forward);
}
