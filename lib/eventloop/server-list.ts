import type { Server } from './options.js';
import { parseServerReference } from './server-url.js';

/** Redirections in a row, without a stable connection between them. */
const MOST_REDIRECTIONS = 5;

/**
 * Whose turn it is: the configured servers one after the other, and where a server sent us instead, if that may be followed.
 *
 * @internal
 */
export class ServerList {
  #servers: readonly Server[];
  #follows: boolean;
  #next = 0;
  #failedInRound = 0;
  #redirected: Server | undefined;
  #redirections = 0;

  constructor(servers: readonly Server[], follows: boolean) {
    this.#servers = servers;
    this.#follows = follows;
  }

  configure(servers: readonly Server[], follows: boolean): void {
    this.#servers = servers;
    this.#follows = follows;
    this.#next = this.#failedInRound = this.#redirections = 0;
    this.#redirected = undefined;
  }

  get current(): Server {
    return this.#redirected ?? this.#servers[this.#next % this.#servers.length]!;
  }

  accepted(): void {
    this.#failedInRound = 0;
  }

  /** A connection ended. @param wasStable it had lasted */
  lost(wasStable: boolean, serverReference: string | undefined): void {
    if (wasStable) this.#redirections = 0;
    this.#moveOn(serverReference);
  }

  /** An attempt failed. @returns whether every server has had its turn, so that it is time to wait */
  failed(serverReference: string | undefined): boolean {
    this.#moveOn(serverReference);
    this.#failedInRound++;
    if (this.#redirected !== undefined || this.#failedInRound < this.#servers.length) return false;
    this.#failedInRound = 0;
    return true;
  }

  #moveOn(serverReference: string | undefined): void {
    const wasRedirected = this.#redirected !== undefined;
    const mayFollow = this.#follows && serverReference !== undefined && this.#redirections < MOST_REDIRECTIONS;
    this.#redirected = mayFollow ? parseServerReference(serverReference, this.current) : undefined;
    if (this.#redirected !== undefined) this.#redirections++;
    // Where we were sent is not in the list: the list goes on where it was left.
    else if (!wasRedirected || this.#servers.length === 1) this.#next++;
  }
}
