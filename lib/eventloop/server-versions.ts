import type { ProtocolVersion } from './codec/packet-types.js';
import type { ResolvedOptions, Server } from './options.js';

/** A network that breaks at the wrong moment looks the same once; a server that does so again means it. */
const SILENT_CLOSES_TO_BELIEVE = 2;

/**
 * What `protocolVersion: 'auto'` knows of each server. MQTT 5 is tried first. One that refuses the version speaks 3.1.1, and so
 * does one that closes the connection on an MQTT 5 CONNECT without a word (RabbitMQ before 3.13) and accepts one of 3.1.1.
 *
 * @internal
 */
export class ServerVersions {
  readonly #known = new Map<string, ProtocolVersion>();
  readonly #silentCloses = new Map<string, number>();

  of(server: Server, { protocolVersion }: ResolvedOptions): ProtocolVersion {
    return protocolVersion === 'auto' ? (this.#known.get(server.label) ?? 5) : protocolVersion;
  }

  /** Its own word, or that it answered. */
  learn(server: Server, version: ProtocolVersion): void {
    this.#known.set(server.label, version);
  }

  /** Whether a connection that it closed without a word may have been about the version. */
  mayBeAboutVersion(server: Server, version: ProtocolVersion, options: ResolvedOptions): boolean {
    return version === 5 && mayFallBack(options) && !this.#known.has(server.label);
  }

  /** Closed without a word on MQTT 5, and accepted 3.1.1 right after it. */
  learnFromSilence(server: Server): void {
    const closes = (this.#silentCloses.get(server.label) ?? 0) + 1;
    this.#silentCloses.set(server.label, closes);
    if (closes >= SILENT_CLOSES_TO_BELIEVE) this.learn(server, 4);
  }
}

/** MQTT 3.1.1 has no enhanced authentication, and going without it would be no fallback. @internal */
export function mayFallBack({ protocolVersion, authentication }: ResolvedOptions): boolean {
  return protocolVersion === 'auto' && authentication === undefined;
}
