/** What a CONNECT carries to say who we are. @publicApi */
export interface Credentials {
  readonly username?: string | undefined;
  /** Bytes or text. On MQTT 3.1.1 a password needs a user name. */
  readonly password?: Uint8Array | string | undefined;
}

/**
 * Asked before every connection attempt, inside the connect deadline.
 * A throw, or anything but credentials, fails the attempt with {@link MqttCredentialsError}; the reconnect policy goes on.
 *
 * @publicApi
 */
export type CredentialsProvider = () => Credentials | Promise<Credentials>;
