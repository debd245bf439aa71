export * from './authorization/index.js';
export * from './decorators/index.js';
export * from './eventloop/index.js';
export type * from './interfaces/index.js';
export { MqttClient, type MqttClientStats } from './mqtt.client.js';
export { getMqttTransportId } from './mqtt.constants.js';
export { MqttContext } from './mqtt.context.js';
export {
  MqttDecodeError,
  MqttHandlersError,
  MqttHandlerTimeoutError,
  MqttMissingPackageError,
  MqttNoResponderError,
  MqttRemoteError,
  MqttSettlementError,
  MqttSubscriptionsRefusedError,
  MqttTooManyRequestsError,
  type MqttHandlerIssue,
  type MqttSettlementMisuse,
} from './mqtt.errors.js';
export { MqttModule } from './mqtt.module.js';
export {
  MqttServer,
  type MqttServerEvents,
  type MqttServerOptions,
  type MqttServerStats,
  type MqttUndecodableEvent,
} from './mqtt.server.js';
export {
  acknowledgeFailures,
  deadLetterFailures,
  leaveFailures,
  rejectFailures,
  retryThenDeadLetter,
  type RetryThenDeadLetterOptions,
} from './settlement/failure-policies.js';
export type { HandlerDiagnostic, HandlerOutcome } from './settlement/handler-diagnostics.js';
export type { MqttHandlerDescription, MqttHandlerStats } from './routing/handler-description.js';
export type { MqttSettlementStats } from './settlement/outcome-report.js';
export type { MqttConnectionEvents } from './mqtt.status.js';
export { getMqttClientToken, getMqttEventLoopToken, getMqttRuntimeToken, getMqttServerToken } from './mqtt.tokens.js';
