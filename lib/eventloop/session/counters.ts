/** What the session counts; the gauges of `stats()` are read where they live. @internal */
export interface Counters {
  publishesSent: number;
  publishesResent: number;
  publishesCompleted: number;
  publishesFailed: number;
  publishesDropped: number;
  messagesReceived: number;
  messagesDropped: number;
  duplicatesSuppressed: number;
  handlerFailures: number;
  unknownAcknowledgements: number;
  /** Violations by a server that did not close the connection. */
  protocolErrors: number;
  throttleWaitMs: number;
}

/** @internal */
export function newCounters(): Counters {
  return {
    publishesSent: 0,
    publishesResent: 0,
    publishesCompleted: 0,
    publishesFailed: 0,
    publishesDropped: 0,
    messagesReceived: 0,
    messagesDropped: 0,
    duplicatesSuppressed: 0,
    handlerFailures: 0,
    unknownAcknowledgements: 0,
    protocolErrors: 0,
    throttleWaitMs: 0,
  };
}
