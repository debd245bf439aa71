import type { Driver } from './driver.js';
import type { Lifecycle } from './lifecycle.js';
import type { Session } from './session/session.js';

/** Counters since the loop was made, and gauges of this moment. @publicApi */
export interface EventLoopStats {
  readonly connected: boolean;
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
  /** Violations by a server, each of which closed a connection. */
  readonly protocolErrors: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Writes to the socket. */
  readonly flushes: number;
  /** Time for which the throttle held requests back. */
  readonly throttleWaitMs: number;
  /** Gauge: requests in the queue. */
  readonly queued: number;
  /** Gauge: their bytes. */
  readonly queuedBytes: number;
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
export function collectStats(
  { counters, outgoing, incoming }: Session,
  driver: Driver,
  lifecycle: Lifecycle,
): EventLoopStats {
  return {
    ...counters,
    connected: lifecycle.negotiated !== undefined,
    connections: lifecycle.connections,
    reconnects: Math.max(0, lifecycle.connections - 1),
    connectFailures: lifecycle.failures,
    protocolErrors: lifecycle.protocolErrors,
    bytesSent: driver.bytesSent,
    bytesReceived: driver.bytesReceived,
    flushes: driver.flushes,
    queued: outgoing.queue.size,
    queuedBytes: outgoing.queue.bytes,
    waiting: outgoing.queue.waiting,
    inflight: outgoing.inflight,
    unsettled: incoming.unsettled,
    unsettledBytes: incoming.unsettledBytes,
    readingPaused: driver.isReadingPaused,
  };
}
