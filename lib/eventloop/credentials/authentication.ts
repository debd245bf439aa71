import type { CredentialsRequest } from './credentials.js';

/**
 * MQTT 5 enhanced authentication (section 4.12): how this client answers the server's challenges, for example with SCRAM.
 * The methods are called one after the other, for one exchange at a time; `start` begins a new exchange.
 *
 * A throw or rejection ends the connection with {@link MqttCredentialsError}; the reconnect policy goes on. Only of `start`, when
 * it begins a re-authentication, it does not: nothing has been said to the server yet.
 *
 * @publicApi
 */
export interface Authentication {
  /** The Authentication Method, such as `SCRAM-SHA-256`. */
  readonly method: string;
  /** Authentication Data of CONNECT, or of the AUTH that begins a re-authentication. */
  start(request: CredentialsRequest): AuthenticationData | Promise<AuthenticationData>;
  /** The answer to a challenge of the server. */
  answer(challenge: Buffer | undefined): AuthenticationData | Promise<AuthenticationData>;
  /** The data of the server's success; throw to refuse the server. */
  verify?(data: Buffer | undefined): void | Promise<void>;
  /**
   * Until when what `start` returned last is good; a date, or milliseconds since 1970. The event loop re-authenticates before
   * that moment, on the open connection. Default: for ever.
   */
  expiresAt?(): Date | number | undefined;
}

/** @publicApi */
export type AuthenticationData = Uint8Array | undefined;
