import type { Duplex } from 'node:stream';
import type { CredentialsRequest } from '../credentials/credentials.js';
import type { ResolvedOptions, Server } from '../options.js';

/** The options that say how to reach a server. @internal */
export type NetworkOptions = Pick<ResolvedOptions, 'connect' | 'proxy' | 'maxPacketBytes' | 'tls' | 'webSocket'>;

/** What an attempt tells its network, and asks of it. @internal */
export interface DialContext {
  /** Those of this attempt: `reconnect` may have changed them. */
  readonly options: NetworkOptions;
  /** What providers are asked with. */
  readonly request: CredentialsRequest;
  /** Says what the attempt is doing from now on, for the error of its deadline: "doing the TLS handshake". */
  readonly step: (step: string) => void;
}

/**
 * Opens a byte stream to a server. The network seam: the network itself is one, tests bring others.
 * Must reject promptly with the signal's reason when it aborts, and leave nothing open.
 *
 * @internal
 */
export type Dial = (server: Server, signal: AbortSignal, context: DialContext) => Promise<Duplex>;
