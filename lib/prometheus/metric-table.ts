import type { EventLoopStats } from '../eventloop/stats.js';
import type { MqttClientStats } from '../mqtt.client.js';
import type { MqttServerStats } from '../mqtt.server.js';

/** A number among statistics. @internal */
export interface Metric<Stats> {
  readonly type: 'counter' | 'gauge';
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  read(stats: Stats): number;
}

type Row<Stats> = readonly [name: string, help: string, read: (stats: Stats) => number];

function counters<Stats>(rows: readonly Row<Stats>[]): Metric<Stats>[] {
  return rows.map(([name, help, read]) => ({ type: 'counter', name: `${name}_total`, help, read }));
}

function gauges<Stats>(rows: readonly Row<Stats>[]): Metric<Stats>[] {
  return rows.map(([name, help, read]) => ({ type: 'gauge', name, help, read }));
}

/** @internal */
export const loopMetrics: readonly Metric<EventLoopStats>[] = [
  ...counters<EventLoopStats>([
    ['connections', 'Accepted connections', (stats) => stats.connections],
    ['connect_failures', 'Attempts that ended without an accepted CONNACK', (stats) => stats.connectFailures],
    ['publishes_sent', 'PUBLISH packets written, resends included', (stats) => stats.publishesSent],
    ['publishes_resent', 'PUBLISH packets written again', (stats) => stats.publishesResent],
    ['publishes_completed', 'Publishes that completed', (stats) => stats.publishesCompleted],
    ['publishes_failed', 'Publishes that failed', (stats) => stats.publishesFailed],
    ['publishes_dropped', 'Publishes given up by an overflow policy', (stats) => stats.publishesDropped],
    ['messages_received', 'PUBLISH packets received, duplicates included', (stats) => stats.messagesReceived],
    ['messages_dropped', 'Messages that nobody handled', (stats) => stats.messagesDropped],
    ['duplicates_suppressed', 'QoS 2 messages that came again', (stats) => stats.duplicatesSuppressed],
    ['unknown_acknowledgements', 'Acknowledgements that matched nothing', (stats) => stats.unknownAcknowledgements],
    ['protocol_errors', 'Violations by a server', (stats) => stats.protocolErrors],
    ['sent_bytes', 'Bytes written', (stats) => stats.bytesSent],
    ['received_bytes', 'Bytes read', (stats) => stats.bytesReceived],
    ['flushes', 'Writes to the socket', (stats) => stats.flushes],
    [
      'throttle_wait_seconds',
      'Time for which the throttle held requests back',
      (stats) => stats.throttleWaitMs / 1_000,
    ],
  ]),
  ...gauges<EventLoopStats>([
    ['connected', 'Whether there is a connection', (stats) => Number(stats.connected)],
    ['disconnected_seconds', 'For how long there has been no connection', (stats) => stats.disconnectedForMs / 1_000],
    ['queued_requests', 'Requests in the queue', (stats) => stats.queued],
    ['queued_bytes', 'Their bytes', (stats) => stats.queuedBytes],
    ['queue_fill_ratio', 'How full the queue is, 0 to 1', (stats) => stats.queueFill],
    ['waiting_callers', 'Callers that wait for the queue', (stats) => stats.waiting],
    ['inflight_publishes', 'QoS 1/2 publishes sent and not complete', (stats) => stats.inflight],
    ['unsettled_messages', 'Messages whose handlers have not settled', (stats) => stats.unsettled],
    ['unsettled_bytes', 'Their bytes', (stats) => stats.unsettledBytes],
    ['reading_paused', 'Whether reading from the socket is suspended', (stats) => Number(stats.readingPaused)],
    ['throttled', 'Whether the throttle holds requests back', (stats) => Number(stats.throttled)],
    ['refused_subscriptions', 'Filters that the broker refused', (stats) => stats.refusedSubscriptions],
  ]),
];

/** What is not told for each handler. @internal */
export const serverMetrics: readonly Metric<MqttServerStats>[] = [
  ...counters<MqttServerStats>([
    ['dead_letters', 'Messages that a dead letter topic has taken', (stats) => stats.deadLettered],
    ['dead_letter_failures', 'Dead letters that could not be published at once', (stats) => stats.deadLetterFailures],
    ['messages_rejected', 'Messages that handlers refused', (stats) => stats.rejected],
    ['messages_left', 'Messages that were left to the broker', (stats) => stats.left],
    ['messages_lost', 'Messages that a shutdown gave up', (stats) => stats.lost],
    ['handler_timeouts', 'Handler runs that took longer than handlerTimeoutMs', (stats) => stats.timedOut],
    ['late_results', 'Results that came too late to count', (stats) => stats.late],
    ['failed_replies', 'Replies that could not be sent as they were', (stats) => stats.failedReplies],
  ]),
  ...gauges<MqttServerStats>([
    ['running_handlers', 'Handler runs that are not done', (stats) => stats.running],
    ['waiting_retries', 'Messages that wait for their next attempt', (stats) => stats.waitingRetries],
  ]),
];

/** @internal */
export const clientMetrics: readonly Metric<MqttClientStats>[] = [
  ...counters<MqttClientStats>([
    ['stray_replies', 'Replies that nobody waited for any more', (stats) => stats.strayReplies],
  ]),
  ...gauges<MqttClientStats>([
    ['pending_requests', 'Requests that wait for replies', (stats) => stats.pendingRequests],
  ]),
];
