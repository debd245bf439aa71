import type { Clock, Timer } from './clock.js';
import type { Connector } from './connector.js';
import type { Departure } from './departure.js';
import { MqttStateError, MqttTimeoutError } from './errors.js';
import type { SrvLookup } from './network/srv-lookup.js';
import type { ResolvedOptions } from './options.js';
import type { ServerList } from './server-list.js';

/**
 * Goes back to the first URL once it can be reached, where that is preferred. Whether it can is asked of the network alone, beside
 * the connection that stands: to leave a server for one that is down would be for nothing.
 *
 * @internal
 */
export class ReturnToFirst {
  readonly #connector: Connector;
  readonly #departure: Departure;
  readonly #lookup: SrvLookup;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #look: AbortController | undefined;

  constructor(connector: Connector, departure: Departure, lookup: SrvLookup, clock: Clock) {
    this.#connector = connector;
    this.#departure = departure;
    this.#lookup = lookup;
    this.#clock = clock;
  }

  /** A connection is in use. */
  begin(clientId: string, servers: ServerList, options: ResolvedOptions): void {
    this.end();
    const { preferFirst } = options.reconnect;
    if (preferFirst === undefined || !servers.isAtLaterOne) return;
    const look = (): void => void this.#returnIfReachable(clientId, servers, options);
    this.#timer = this.#clock.startTimer(look, preferFirst.returnAfterMs);
  }

  /** The connection has ended. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#look?.abort();
    this.#look = undefined;
  }

  async #returnIfReachable(clientId: string, servers: ServerList, options: ResolvedOptions): Promise<void> {
    const look = (this.#look = new AbortController());
    const isReachable = await this.#reaches(clientId, servers, options, look);
    // Its end has aborted the look: the connection is gone, or a later one is in use.
    if (this.#look !== look) return;
    if (!isReachable) return this.begin(clientId, servers, options);
    servers.startOver();
    const cause = new MqttStateError(`the event loop returns to ${servers.current.label}`);
    await this.#departure.leave(cause);
  }

  async #reaches(
    clientId: string,
    servers: ServerList,
    options: ResolvedOptions,
    look: AbortController,
  ): Promise<boolean> {
    const { connectTimeoutMs } = options;
    const timer = this.#clock.startTimer(
      () => look.abort(new MqttTimeoutError('a look at the first server', connectTimeoutMs, 'not-sent')),
      connectTimeoutMs,
    );
    try {
      const { first } = servers;
      const [server] = first.isSrvDomain ? await this.#lookup.targets(first, options, look.signal) : [first];
      await this.#connector.look(server!, options, clientId, look.signal);
      return true;
    } catch {
      return false;
    } finally {
      timer.cancel();
    }
  }
}
