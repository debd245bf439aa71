/**
 * MQTT 5 enhanced authentication (section 4.12): how this client answers the server's challenges, for example with SCRAM.
 * The methods are called one after the other, for one exchange at a time; `start` begins a new exchange.
 *
 * A throw or rejection ends the connection with {@link MqttCredentialsError}; the reconnect policy goes on.
 *
 * @publicApi
 */
export interface Authentication {
  /** The Authentication Method, such as `SCRAM-SHA-256`. */
  readonly method: string;
  /** Authentication Data of CONNECT, or of the AUTH that begins a re-authentication. */
  start(): AuthenticationData | Promise<AuthenticationData>;
  /** The answer to a challenge of the server. */
  answer(challenge: Buffer | undefined): AuthenticationData | Promise<AuthenticationData>;
  /** The data of the server's success; throw to refuse the server. */
  verify?(data: Buffer | undefined): void | Promise<void>;
}

/** @publicApi */
export type AuthenticationData = Uint8Array | undefined;
