export { systemClock, type Clock, type Timer } from './clock.js';
export type { Authentication, AuthenticationData } from './credentials/authentication.js';
export type { Credentials, CredentialsProvider, CredentialsRequest } from './credentials/credentials.js';
export {
  googleIotCore,
  googleIotCoreClientId,
  type GoogleIotCoreDevice,
  type GoogleIotCoreOptions,
} from './credentials/google-iot-core.js';
export { tokenAuthentication } from './credentials/token-authentication.js';
export { jwt, type JwtClaims, type JwtOptions } from './credentials/jwt.js';
export type { Jwk, JwtAlgorithm, JwtKey, JwtSigner } from './credentials/jwt-key.js';
export * from './connection-errors.js';
export type { EventLoopDiagnostic, PublishDiagnostic } from './diagnostics.js';
export {
  MqttAbortError,
  MqttArgumentError,
  MqttClosedError,
  MqttError,
  MqttMessageDroppedError,
  MqttNotSupportedError,
  MqttOptionsError,
  MqttPacketTooLargeError,
  MqttQueueFullError,
  MqttRefusedError,
  MqttStateError,
  MqttTimeoutError,
  type DeliveryState,
  type OptionIssue,
} from './errors.js';
export { EventLoop } from './event-loop.js';
export type { EventLoopRuntime } from './runtime.js';
export type { ResolveSrv } from './network/srv-lookup.js';
export type { SrvRecord } from './srv-records.js';
export type { ShutdownOptions, ShutdownResult } from './shutdown.js';
export * from './events.js';
export * from './messages.js';
export type { Negotiated } from './negotiated.js';
export type { Dial, DialContext } from './network/dial.js';
export type {
  ConnectHook,
  ConnectTarget,
  Pem,
  TlsOptions,
  TlsVersion,
  WebSocketHeaders,
  WebSocketOptions,
} from './network/network-options.js';
export type {
  ProxyByUrl,
  ProxyFromEnvironment,
  ProxyHeaders,
  ProxyHeadersProvider,
  ProxyOptions,
  ProxySettings,
} from './network/proxy-options.js';
export type {
  AcknowledgeMode,
  EventLoopOptions,
  IncomingOverflowPolicy,
  OverflowPolicy,
  ReconnectOptions,
  ReconnectPolicy,
  ThrottleOptions,
  Server,
  Will,
} from './options.js';
export type { EventLoopStats } from './stats.js';
