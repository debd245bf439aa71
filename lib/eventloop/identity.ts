import type { ProtocolVersion } from './codec/packet-types.js';
import type { Negotiated } from './negotiated.js';
import type { ResolvedOptions } from './options.js';

/** What differs between the CONNECTs of one loop. @internal */
export interface Identity {
  readonly clientId: string;
  readonly clean: boolean;
}

/** Who we are to the server, and whose session it is that we know. @internal */
export class SessionIdentity {
  #assignedClientId: string | undefined;
  #sessionOf: string | undefined;

  /** For the next CONNECT. */
  of({ clean, sessionExpirySeconds, clientId }: ResolvedOptions, version: ProtocolVersion): Identity {
    const ownId = this.#assignedClientId ?? clientId;
    // With a session that outlives the connection, a clean start is wanted once: later connections resume it.
    const resumes = version === 5 && sessionExpirySeconds > 0 && this.#sessionOf === ownId;
    return { clientId: ownId, clean: clean && !resumes };
  }

  /** @returns whether the server has kept this very session */
  accepted(negotiated: Negotiated, { clientId }: ResolvedOptions): boolean {
    if (negotiated.clientId !== clientId) this.#assignedClientId = negotiated.clientId;
    // Another identifier means another session, whatever the broker has kept under it.
    const isOurs = (this.#sessionOf ?? negotiated.clientId) === negotiated.clientId;
    this.#sessionOf = negotiated.clientId;
    return negotiated.sessionPresent && isOurs;
  }

  /** The option `clientId` has changed: an assigned identifier counts no more. */
  forgetAssigned(): void {
    this.#assignedClientId = undefined;
  }
}
