import type { ReceivedProperties } from './codec/property-reader.js';
import { CONTINUE_AUTHENTICATION } from './codec/reason-codes.js';
import { MqttConnectionError } from './connection-errors.js';
import { unaskedAuth } from './connection.js';
import type { Authentication } from './credentials/authentication.js';
import { Authenticator } from './credentials/authenticator.js';
import { MqttPacketTooLargeError, MqttStateError, type MqttError } from './errors.js';

/** @internal */
export interface ReauthenticationHost {
  /** What the server takes. */
  readonly maxPacketBytes: number;
  /** Sends an AUTH packet. */
  send(packet: Buffer): void;
  /** Ends the connection. */
  fail(cause: MqttError): void;
}

/**
 * Re-authentication on an open connection, one at a time (section 4.12.1). It belongs to its connection: what comes late, from
 * the user or from the server, finds nothing.
 *
 * @internal
 */
export class Reauthentication {
  readonly #host: ReauthenticationHost;
  #current:
    | { readonly authenticator: Authenticator; readonly succeed: () => void; readonly fail: (error: MqttError) => void }
    | undefined;

  constructor(host: ReauthenticationHost) {
    this.#host = host;
  }

  /** Resolves when the server has accepted. */
  begin(authentication: Authentication): Promise<void> {
    if (this.#current !== undefined)
      return Promise.reject(new MqttStateError('a re-authentication is under way already'));
    return new Promise((succeed, fail) => {
      const authenticator = new Authenticator(authentication);
      this.#current = { authenticator, succeed, fail };
      this.#sendLater(authenticator, authenticator.restart(), (error) => {
        this.#current = undefined;
        fail(error);
      });
    });
  }

  /** @throws MqttProtocolError when nobody asked the server */
  received(reasonCode: number, properties: ReceivedProperties | undefined): void {
    const current = this.#current;
    if (current === undefined) throw unaskedAuth();
    const { authenticator } = current;
    authenticator.assertMethod(properties);
    if (reasonCode === CONTINUE_AUTHENTICATION) return this.#sendLater(authenticator, authenticator.answer(properties));
    authenticator.verify(properties).then(
      () => {
        if (this.#current !== current) return;
        this.#current = undefined;
        current.succeed();
      },
      (error: MqttError) => this.#host.fail(error),
    );
  }

  disconnected(cause: MqttError): void {
    const current = this.#current;
    this.#current = undefined;
    current?.fail(
      new MqttConnectionError(
        'MQTT_CONNECTION_LOST',
        'the connection ended before the server had accepted the re-authentication',
        'unknown',
        { cause },
      ),
    );
  }

  #sendLater(
    authenticator: Authenticator,
    packet: Promise<Buffer>,
    tooLarge = (error: MqttError): void => this.#host.fail(error),
  ): void {
    const isCurrent = (): boolean => this.#current?.authenticator === authenticator;
    packet.then(
      (auth) => {
        if (!isCurrent()) return;
        const { maxPacketBytes } = this.#host;
        if (auth.length <= maxPacketBytes) this.#host.send(auth);
        else tooLarge(new MqttPacketTooLargeError(auth.length, maxPacketBytes, 'server'));
      },
      (error: MqttError) => {
        if (isCurrent()) this.#host.fail(error);
      },
    );
  }
}
