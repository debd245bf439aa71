import type { Driver } from './driver.js';
import type { Lifecycle } from './lifecycle.js';
import type { Session } from './session/session.js';

/** Counters since the loop was made, and gauges of this moment. @publicApi */
export interface EventLoopStats {
  readonly connected: boolean;
  /** Gauge: for how long there has been no connection; 0 while there is one. */
  readonly disconnectedForMs: number;
  /** Accepted connections. */
  readonly connections: number;
  /** Accepted connections after the first. */
  readonly reconnects: number;
  /** Attempts that ended without an accepted CONNACK. */
  readonly connectFailures: number;
  /** PUBLISH packets written, resends included. */
  readonly publishesSent: number;
  readonly publishesResent: number;
  /** Publishes that completed. */
  readonly publishesCompleted: number;
  /** Publishes that failed: refused, timed out, aborted, dropped, closed. */
  readonly publishesFailed: number;
  /** Publishes given up by an overflow policy. */
  readonly publishesDropped: number;
  /** PUBLISH packets received, duplicates included. */
  readonly messagesReceived: number;
  /** Messages that nobody handled; the `message-dropped` event tells each. */
  readonly messagesDropped: number;
  /** QoS 2 messages that came again and were not delivered again. */
  readonly duplicatesSuppressed: number;
  readonly handlerFailures: number;
  /** Acknowledgements that matched nothing. */
  readonly unknownAcknowledgements: number;
  /** Violations by a server. Each closed a connection, but for more than our Receive Maximum in a session that would not have been kept. */
  readonly protocolErrors: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Writes to the socket. */
  readonly flushes: number;
  /** Time for which the throttle held requests back. */
  readonly throttleWaitMs: number;
  /** Gauge: whether the throttle holds requests back now. */
  readonly throttled: boolean;
  /** Gauge: filters whose last SUBSCRIBE the broker refused; 1 000 is the most that are remembered. */
  readonly refusedSubscriptions: number;
  /** Gauge: requests in the queue. */
  readonly queued: number;
  /** Gauge: their bytes. */
  readonly queuedBytes: number;
  /** Gauge: how full the queue is, from 0 to 1, by number or by bytes, whichever is more. */
  readonly queueFill: number;
  /** Gauge: callers that wait for the queue. */
  readonly waiting: number;
  /** Gauge: QoS 1/2 publishes sent on this connection and not complete. */
  readonly inflight: number;
  /** Gauge: messages whose handlers have not settled. */
  readonly unsettled: number;
  /** Gauge: their bytes. */
  readonly unsettledBytes: number;
  /** Gauge: whether reading from the socket is suspended. */
  readonly readingPaused: boolean;
}

/** @internal */
export function collectStats(session: Session, driver: Driver, lifecycle: Lifecycle): EventLoopStats {
  const { counters, outgoing, incoming } = session;
  return {
    ...counters,
    ...lifecycle.counters,
    protocolErrors: lifecycle.counters.protocolErrors + counters.protocolErrors,
    connected: lifecycle.negotiated !== undefined,
    disconnectedForMs: lifecycle.disconnectedForMs,
    reconnects: Math.max(0, lifecycle.counters.connections - 1),
    bytesSent: driver.bytesSent,
    bytesReceived: driver.bytesReceived,
    flushes: driver.flushes,
    queued: outgoing.queue.size,
    queuedBytes: outgoing.queue.bytes,
    queueFill: outgoing.queue.fill,
    waiting: outgoing.queue.waiting,
    inflight: outgoing.inflight,
    unsettled: incoming.unsettled,
    unsettledBytes: incoming.unsettledBytes,
    readingPaused: driver.isReadingPaused,
    throttled: session.isThrottled,
    refusedSubscriptions: session.subscriptions.refused,
  };
}
