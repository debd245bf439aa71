import type { ReceivedPacket } from './packets.js';
import type { ProtocolChecker } from './protocol-checker.js';

/** A rule that the client broke. @publicApi */
export interface Violation {
  /** The conformance statement (`MQTT-2.2.1-3`), or a word where there is none (`encoding`, `framing`, `properties`). */
  readonly rule: string;
  readonly message: string;
  /** The packet that broke it; undefined when the bytes were none. */
  readonly packet: ReceivedPacket | undefined;
}

/** What a connection needs from its broker. @internal */
export interface ScriptedConnectionHost {
  readonly guardMs: number;
  readonly autoPing: boolean;
  readonly tolerate: readonly string[];
  /** What watched the last connection of each session. */
  readonly sessions: Map<string, ProtocolChecker>;
}
