import type { Connector, Established } from './connector.js';
import { Departure } from './departure.js';
import type { Emitter } from './emitter.js';
import type { MqttError } from './errors.js';
import type { EventLoopEvents } from './events.js';
import type { SrvLookup } from './network/srv-lookup.js';
import type { ResolvedOptions } from './options.js';
import { Renewals, type RenewalsHost } from './renewals.js';
import { ReturnToFirst } from './return-to-first.js';
import type { CompleteRuntime } from './runtime.js';
import type { ServerList } from './server-list.js';

/** Everything for which a connection that works is left on purpose, for another one at once. @internal */
export class PlannedReconnects {
  readonly #departure: Departure;
  readonly #renewals: Renewals;
  readonly #returnToFirst: ReturnToFirst;

  constructor(
    connector: Connector,
    lookup: SrvLookup,
    host: RenewalsHost,
    emitter: Emitter<EventLoopEvents>,
    runtime: CompleteRuntime,
  ) {
    this.#departure = new Departure(host);
    this.#renewals = new Renewals(connector, this.#departure, host, emitter, runtime);
    this.#returnToFirst = new ReturnToFirst(connector, this.#departure, lookup, runtime.clock);
  }

  /** A connection is in use. */
  begin(established: Established, servers: ServerList, options: ResolvedOptions): void {
    this.#renewals.begin(established, servers.current, options);
    this.#returnToFirst.begin(established.negotiated.clientId, servers, options);
  }

  /** The connection has ended. */
  end(): void {
    this.#renewals.end();
    this.#returnToFirst.end();
    this.#departure.end();
  }

  /** Whether a connection ended for this reason because of us. @returns what to wait for before the next one */
  hasLeft(cause: MqttError): Promise<void> | undefined {
    return this.#departure.hasLeft(cause);
  }

  reauthenticate(options: ResolvedOptions): Promise<void> {
    return this.#renewals.reauthenticate(options);
  }
}
