import type { Farewell } from './connection.js';
import type { MqttError } from './errors.js';

/** How long what is under way with the server may take before we leave it. */
const MOST_QUIET_MS = 5_000;

/** @internal */
export interface DepartureHost {
  /** Holds new publishes back until nothing is under way with the server, but not longer than this. */
  quiet(timeoutMs: number): Promise<void>;
  disconnect(cause: MqttError, farewell: Farewell | undefined): Promise<void>;
}

/** Leaves a connection in order to connect again at once. Several may want to; they leave together. @internal */
export class Departure {
  readonly #host: DepartureHost;
  #underWay: Promise<void> | undefined;
  #left: { readonly cause: MqttError; readonly closed: Promise<void> } | undefined;

  constructor(host: DepartureHost) {
    this.#host = host;
  }

  /** @param mostMs when there is less time than usual for what is under way with the server */
  leave(cause: MqttError, mostMs = MOST_QUIET_MS): Promise<void> {
    return (this.#underWay ??= this.#leave(cause, Math.min(MOST_QUIET_MS, mostMs)));
  }

  /** The connection has ended. */
  end(): void {
    this.#underWay = undefined;
  }

  /** Whether a connection ended for this reason because of us. @returns what to wait for before the next one */
  hasLeft(cause: MqttError): Promise<void> | undefined {
    return cause === this.#left?.cause ? this.#left.closed : undefined;
  }

  async #leave(cause: MqttError, mostQuietMs: number): Promise<void> {
    await this.#host.quiet(mostQuietMs);
    this.#left = { cause, closed: this.#host.disconnect(cause, { reasonCode: 0x00 }) };
  }
}
