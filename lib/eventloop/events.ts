import type { MqttError } from './errors.js';
import type { QoS } from './messages.js';
import type { Negotiated } from './negotiated.js';

/** What the event loop is doing. @publicApi */
export const EventLoopStatus = {
  /** Made, not started. */
  Idle: 'idle',
  /** The first connection, or one after `resume` or `reconnect`, is being made. */
  Connecting: 'connecting',
  Connected: 'connected',
  /** The connection was lost; waiting for the next attempt or making it. */
  Reconnecting: 'reconnecting',
  /** Disconnected on demand; the queue is kept. */
  Paused: 'paused',
  /** `shutdown` drains. */
  Closing: 'closing',
  Closed: 'closed',
} as const;

/** @publicApi */
export type EventLoopStatus = (typeof EventLoopStatus)[keyof typeof EventLoopStatus];

/** @publicApi */
export interface ConnectedEvent {
  readonly negotiated: Negotiated;
  readonly sessionPresent: boolean;
  /** 1 for the first attempt since the loop was started or the connection was lost. */
  readonly attempt: number;
}

/** @publicApi */
export interface DisconnectedEvent {
  readonly cause: MqttError;
  /** Of the server's DISCONNECT or CONNACK, or of ours. */
  readonly reasonCode: number | undefined;
  /** Undefined when no further attempt will be made. */
  readonly willRetryInMs: number | undefined;
}

/** @publicApi */
export interface ReconnectingEvent {
  readonly attempt: number;
  /** Without credentials. */
  readonly server: string;
}

/** @publicApi */
export interface ThrottledEvent {
  /** How long the next request waits for the throttle. */
  readonly waitMs: number;
  readonly queued: number;
}

/** @publicApi */
export interface MessageDroppedEvent {
  readonly direction: 'incoming' | 'outgoing';
  readonly topic: string;
  readonly qos: QoS;
  /**
   * Incoming: `incoming-overflow` (QoS 0, the bounds are reached), `closing` (QoS 0 during shutdown), `no-consumer` (there are
   * iterators and none matches). Outgoing: the overflow policy.
   */
  readonly reason: 'incoming-overflow' | 'closing' | 'no-consumer' | 'drop-oldest' | 'drop-newest';
}

/** @publicApi */
export interface SubscriptionRefusedEvent {
  readonly filter: string;
  readonly reasonCode: number;
  readonly reason: string;
}

/** A message handler threw or rejected. @publicApi */
export interface HandlerFailedEvent {
  readonly error: unknown;
  readonly topic: string;
  readonly qos: QoS;
}

/** @publicApi */
export interface CredentialsRenewedEvent {
  /** `authentication`: on the open connection. `reconnect`: the loop leaves now and connects again at once. */
  readonly by: 'authentication' | 'reconnect';
  /** Of the fresh ones; undefined when they do not expire. */
  readonly expiresAt: Date | undefined;
}

/** There are no fresh credentials yet; the connection goes on with the present ones. @publicApi */
export interface CredentialsRenewalFailedEvent {
  readonly cause: MqttError;
  /** Undefined when they expire before another try. */
  readonly willRetryInMs: number | undefined;
  /** When the present ones expire; the server may end the connection then. */
  readonly expiresAt: Date;
}

/** @publicApi */
export interface ClosedEvent {
  /** Undefined after `shutdown`; otherwise why the loop gave up. */
  readonly cause: MqttError | undefined;
}

/** The typed events of `EventLoop.on`. @publicApi */
export interface EventLoopEvents {
  /** An accepted connection; exactly one `disconnected` follows it. */
  connected: ConnectedEvent;
  /** A connection ended, or an attempt failed. */
  disconnected: DisconnectedEvent;
  /** An attempt begins after a failure or a loss. */
  reconnecting: ReconnectingEvent;
  paused: undefined;
  /** The throttle starts to hold requests back. */
  throttled: ThrottledEvent;
  'message-dropped': MessageDroppedEvent;
  'subscription-refused': SubscriptionRefusedEvent;
  'handler-failed': HandlerFailedEvent;
  /** Credentials were renewed before they expired. */
  'credentials-renewed': CredentialsRenewedEvent;
  'credentials-renewal-failed': CredentialsRenewalFailedEvent;
  closed: ClosedEvent;
}
