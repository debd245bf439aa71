/** What the session counts; the gauges of `stats()` are read where they live. @internal */
export class Counters {
  publishesSent = 0;
  publishesResent = 0;
  publishesCompleted = 0;
  publishesFailed = 0;
  publishesDropped = 0;
  messagesReceived = 0;
  messagesDropped = 0;
  duplicatesSuppressed = 0;
  handlerFailures = 0;
  unknownAcknowledgements = 0;
  throttleWaitMs = 0;
}
