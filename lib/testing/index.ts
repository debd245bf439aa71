export type { ServeOptions } from './auto-responder.js';
export { MemoryBroker, type MemoryBrokerOptions, type MemoryPublishOptions } from './memory-broker.js';
export type { PublishedMessage } from './memory-message.js';
export type { MemoryDelivery } from './memory-session.js';
export type { ExpectedMessage } from './message-log.js';
export type {
  AcknowledgementFields,
  ConnackOptions,
  DisconnectFields,
  PacketName,
  PacketReference,
  PublishFields,
  ReceivedPacket,
  SubackFields,
} from './packets.js';
export { ScriptedBroker, type ScriptedBrokerOptions } from './scripted-broker.js';
export type { ScriptedConnection } from './scripted-connection.js';
export type { Violation } from './scripted-connection-host.js';
export { MqttTestHarness, type TestDelivery, type TestHandlerRun, type TestOutcome } from './test-harness.js';
export type { TestReply, TestRequestOptions } from './test-request.js';
export { VirtualClock } from './virtual-clock.js';
