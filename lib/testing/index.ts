export type { ServeOptions } from './auto-responder.js';
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
export { VirtualClock } from './virtual-clock.js';
