import type { Clock } from './clock.js';
import { MqttCredentialsError } from './connection-errors.js';
import type { Connector, Established } from './connector.js';
import type { Departure, DepartureHost } from './departure.js';
import type { Emitter } from './emitter.js';
import { MqttStateError } from './errors.js';
import type { EventLoopEvents } from './events.js';
import type { Negotiated } from './negotiated.js';
import type { ResolvedOptions, Server } from './options.js';
import type { ReauthenticationRequest } from './reauthentication.js';
import { Renewal, type RenewalHost } from './renewal.js';

/** @internal */
export interface RenewalsHost extends DepartureHost {
  /** @returns when what the server has accepted expires, by the time of day */
  reauthenticate(request: ReauthenticationRequest): Promise<number>;
}

interface Present {
  readonly negotiated: Negotiated;
  readonly server: Server;
  readonly options: ResolvedOptions;
}

/**
 * Keeps a connection's proofs of identity fresh, each the way it was given: the credentials of CONNECT by another CONNECT, those
 * of the enhanced authentication by AUTH.
 *
 * @internal
 */
export class Renewals {
  readonly #connector: Connector;
  readonly #departure: Departure;
  readonly #host: RenewalsHost;
  readonly #emitter: Emitter<EventLoopEvents>;
  readonly #clock: Clock;
  readonly #ofCredentials: Renewal;
  readonly #ofAuthentication: Renewal;
  #present: Present | undefined;

  constructor(
    connector: Connector,
    departure: Departure,
    host: RenewalsHost,
    emitter: Emitter<EventLoopEvents>,
    runtime: { readonly clock: Clock; readonly random: () => number },
  ) {
    this.#connector = connector;
    this.#departure = departure;
    this.#host = host;
    this.#emitter = emitter;
    this.#clock = runtime.clock;
    const renewal = (renew: RenewalHost['renew']): Renewal =>
      new Renewal(
        { renew, failed: (event) => emitter.emit('credentials-renewal-failed', event) },
        runtime.clock,
        runtime.random,
      );
    this.#ofCredentials = renewal((presentMs, signal) => this.#connectAnew(presentMs, signal));
    this.#ofAuthentication = renewal(() => this.reauthenticate(this.#present!.options));
  }

  /** A connection is in use. */
  begin(established: Established, server: Server, options: ResolvedOptions): void {
    this.#present = { negotiated: established.negotiated, server, options };
    this.#ofCredentials.begin(established.credentialsExpireAtMs, options);
    this.#ofAuthentication.begin(established.authenticationExpiresAtMs, options);
  }

  /** The connection has ended. */
  end(): void {
    this.#present = undefined;
    this.#ofCredentials.end();
    this.#ofAuthentication.end();
  }

  /** On demand, or because it is time. */
  async reauthenticate({ authentication, connectTimeoutMs }: ResolvedOptions): Promise<void> {
    const expiresAtMs = await this.#host.reauthenticate({
      authentication,
      negotiated: this.#present?.negotiated,
      timeoutMs: connectTimeoutMs,
    });
    if (this.#present === undefined) return;
    this.#ofAuthentication.begin(expiresAtMs, this.#present.options);
    this.#emitRenewed('authentication', expiresAtMs);
  }

  async #connectAnew(presentMs: number, signal: AbortSignal): Promise<void> {
    const { server, options, negotiated } = this.#present!;
    const freshMs = await this.#connector.prepareCredentials(server, options, negotiated.clientId, signal);
    // To connect again with the same ones would be for nothing, and soon again.
    if (freshMs <= presentMs) {
      throw new MqttCredentialsError(
        'the credentials provider returned credentials that expire no later than the present ones: do not cache them',
      );
    }
    this.#emitRenewed('reconnect', freshMs);
    const cause = new MqttStateError('the event loop connects again with fresh credentials');
    await this.#departure.leave(cause, (presentMs - this.#clock.epochMs()) / 2);
  }

  #emitRenewed(by: 'authentication' | 'reconnect', expiresAtMs: number): void {
    this.#emitter.emit('credentials-renewed', {
      by,
      expiresAt: expiresAtMs === Infinity ? undefined : new Date(expiresAtMs),
    });
  }
}
