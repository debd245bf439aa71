export { systemClock, type Clock, type Timer } from './clock.js';
export type { Credentials, CredentialsProvider } from './credentials/credentials.js';
export * from './errors.js';
export { EventLoop, type EventLoopRuntime, type ShutdownOptions } from './event-loop.js';
export * from './events.js';
export * from './messages.js';
export type { Negotiated } from './negotiated.js';
export type { Dial } from './network/dial.js';
export type {
  AcknowledgeMode,
  EventLoopOptions,
  IncomingOverflowPolicy,
  OverflowPolicy,
  ReconnectOptions,
  ReconnectPolicy,
  ThrottleOptions,
  Will,
} from './options.js';
export type { EventLoopStats } from './stats.js';
