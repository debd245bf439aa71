import type { SrvLookup } from './network/srv-lookup.js';
import type { ResolvedOptions, Server } from './options.js';
import { parseServerReference } from './server-url.js';

/** Redirections in a row, without a stable connection between them. */
const MOST_REDIRECTIONS = 5;

type ServerOptions = Pick<ResolvedOptions, 'servers' | 'followServerReference' | 'reconnect'>;

/**
 * Whose turn it is: the configured servers one after the other, those behind a domain each in their turn, and where a server sent
 * us instead, if that may be followed.
 *
 * @internal
 */
export class ServerList {
  #servers: readonly Server[];
  #follows: boolean;
  #prefersFirst: boolean;
  #next = 0;
  #failedInRound = 0;
  /** What is left of the servers that a domain's SRV records named for this turn. */
  #targets: readonly Server[] = [];
  #redirected: Server | undefined;
  #redirections = 0;

  constructor({ servers, followServerReference, reconnect }: ServerOptions) {
    this.#servers = servers;
    this.#follows = followServerReference;
    this.#prefersFirst = reconnect.preferFirst !== undefined;
  }

  configure({ servers, followServerReference, reconnect }: ServerOptions): void {
    this.#servers = servers;
    this.#follows = followServerReference;
    this.#prefersFirst = reconnect.preferFirst !== undefined;
    this.#failedInRound = this.#redirections = 0;
    this.startOver();
  }

  /** The next turn is that of the first URL. */
  startOver(): void {
    this.#next = 0;
    this.#targets = [];
    this.#redirected = undefined;
  }

  get first(): Server {
    return this.#servers[0]!;
  }

  /** At another URL than the first, and not because a server sent us. */
  get isAtLaterOne(): boolean {
    return this.#redirected === undefined && this.#next % this.#servers.length !== 0;
  }

  get current(): Server {
    return this.#redirected ?? this.#targets[0] ?? this.#servers[this.#next % this.#servers.length]!;
  }

  /** The server to connect to now. @throws MqttConnectionError, MqttConnectTimeoutError, or the signal's reason */
  async lookUp(lookup: SrvLookup, options: ResolvedOptions, stop: AbortSignal): Promise<Server> {
    if (this.current.isSrvDomain) this.#targets = await lookup.targets(this.current, options, stop);
    return this.current;
  }

  accepted(): void {
    this.#failedInRound = 0;
  }

  /** A connection ended. @param wasStable it had lasted */
  lost(wasStable: boolean, serverReference: string | undefined): void {
    if (wasStable) this.#redirections = 0;
    // One that drops us at once must not keep us from the others.
    const returns = this.#prefersFirst && (wasStable || this.isAtLaterOne);
    // The next turn of a domain begins with its records as they are then.
    this.#targets = [];
    this.#moveOn(serverReference);
    if (returns && this.#redirected === undefined) this.startOver();
  }

  /** An attempt failed. @returns whether every server has had its turn, so that it is time to wait */
  failed(serverReference: string | undefined): boolean {
    this.#moveOn(serverReference);
    if (this.#targets.length > 0) return false;
    this.#failedInRound++;
    if (this.#redirected !== undefined || this.#failedInRound < this.#servers.length) return false;
    this.#failedInRound = 0;
    if (this.#prefersFirst) this.startOver();
    return true;
  }

  #moveOn(serverReference: string | undefined): void {
    const wasRedirected = this.#redirected !== undefined;
    const mayFollow = this.#follows && serverReference !== undefined && this.#redirections < MOST_REDIRECTIONS;
    this.#redirected = mayFollow ? parseServerReference(serverReference, this.current) : undefined;
    if (this.#redirected !== undefined) this.#redirections++;
    // Where we were sent is not in the list: the list goes on where it was left.
    if (this.#redirected !== undefined || wasRedirected) return;
    this.#targets = this.#targets.slice(1);
    if (this.#targets.length === 0) this.#next++;
  }
}
