/** What a CONNECT carries to say who we are. @publicApi */
export interface Credentials {
  readonly username?: string | undefined;
  /** Bytes or text. On MQTT 3.1.1 a password needs a user name. */
  readonly password?: Uint8Array | string | undefined;
  /**
   * Of a provider's credentials: until when they are good; a date, or milliseconds since 1970. The event loop connects anew with
   * fresh ones before that moment. Default: they do not expire.
   */
  readonly expiresAt?: Date | number | undefined;
}

/** What a {@link CredentialsProvider} may want to know. @publicApi */
export interface CredentialsRequest {
  /** Of the CONNECT that the credentials are for. */
  readonly clientId: string;
  /** For people: scheme, host and port. */
  readonly server: string;
  /** The time of day by the event loop's clock: milliseconds since 1970. */
  readonly epochMs: number;
  /** Aborts when nobody waits for the answer any more: the deadline has passed, or the event loop was paused or closed. */
  readonly signal: AbortSignal;
}

/**
 * Asked before every connection attempt, inside the connect deadline, and before the credentials of a connection expire.
 * A throw, or anything but credentials, fails the attempt with {@link MqttCredentialsError}, whose `cause` is what was thrown;
 * the reconnect policy goes on. A connection that stands is left alone.
 *
 * @publicApi
 */
export type CredentialsProvider = (request: CredentialsRequest) => Credentials | Promise<Credentials>;
