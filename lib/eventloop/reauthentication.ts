import type { Clock } from './clock.js';
import type { ReceivedProperties } from './codec/property-reader.js';
import { CONTINUE_AUTHENTICATION } from './codec/reason-codes.js';
import { MqttConnectionError } from './connection-errors.js';
import { unaskedAuth } from './connection.js';
import type { Authentication } from './credentials/authentication.js';
import { Authenticator } from './credentials/authenticator.js';
import { MqttPacketTooLargeError, MqttStateError, MqttTimeoutError, type MqttError } from './errors.js';
import type { Negotiated } from './negotiated.js';

/** @internal */
export interface ReauthenticationHost {
  /** What the server takes. */
  readonly maxPacketBytes: number;
  /** Sends an AUTH packet. */
  send(packet: Buffer): void;
  /** Ends the connection. */
  fail(cause: MqttError): void;
}

/** @internal */
export interface ReauthenticationRequest {
  readonly authentication: Authentication | undefined;
  /** Undefined without a connection. */
  readonly negotiated: Negotiated | undefined;
  readonly timeoutMs: number;
}

interface Exchange {
  readonly authenticator: Authenticator;
  /** Something has gone out: the server is part of it now. */
  hasBegun: boolean;
  readonly succeed: (expiresAtMs: number) => void;
  readonly fail: (error: MqttError) => void;
}

/**
 * Re-authentication on an open connection, one at a time (section 4.12.1). It belongs to its connection: what comes late, from
 * the user or from the server, finds nothing. Until the server has heard of it, it fails alone; later it ends the connection.
 *
 * @internal
 */
export class Reauthentication {
  readonly #host: ReauthenticationHost;
  readonly #clock: Clock;
  #current: Exchange | undefined;

  constructor(host: ReauthenticationHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  /** Resolves when the server has accepted. @returns when what was shown to it expires, by the time of day */
  async begin({ authentication, negotiated, timeoutMs }: ReauthenticationRequest): Promise<number> {
    if (authentication === undefined) throw new MqttStateError('re-authentication needs the option authentication');
    if (negotiated === undefined)
      throw new MqttStateError('re-authentication needs a connection, and there is none now');
    if (this.#current !== undefined) throw new MqttStateError('a re-authentication is under way already');
    const deadline = new AbortController();
    const timer = this.#clock.startTimer(() => this.#timedOut(timeoutMs), timeoutMs);
    try {
      return await new Promise<number>((succeed, fail) => {
        const authenticator = new Authenticator(authentication);
        const { clientId, server } = negotiated;
        const request = { clientId, server, epochMs: this.#clock.epochMs(), signal: deadline.signal };
        this.#current = { authenticator, hasBegun: false, succeed, fail };
        this.#sendLater(authenticator.restart(request));
      });
    } finally {
      timer.cancel();
      deadline.abort();
    }
  }

  /** @throws MqttProtocolError when nobody asked the server */
  received(reasonCode: number, properties: ReceivedProperties | undefined): void {
    const current = this.#current;
    if (current === undefined) throw unaskedAuth();
    const { authenticator } = current;
    authenticator.assertMethod(properties);
    if (reasonCode === CONTINUE_AUTHENTICATION) return this.#sendLater(authenticator.answer(properties));
    authenticator.verify(properties).then(
      () => {
        if (this.#current !== current) return;
        this.#current = undefined;
        current.succeed(authenticator.expiresAtMs);
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

  #timedOut(timeoutMs: number): void {
    const current = this.#current!;
    this.#abandon(
      current,
      new MqttTimeoutError('the re-authentication', timeoutMs, current.hasBegun ? 'unknown' : 'not-sent'),
    );
  }

  #sendLater(packet: Promise<Buffer>): void {
    const current = this.#current!;
    packet.then(
      (auth) => {
        if (this.#current !== current) return;
        const { maxPacketBytes } = this.#host;
        if (auth.length > maxPacketBytes)
          return this.#abandon(current, new MqttPacketTooLargeError(auth.length, maxPacketBytes, 'server'));
        current.hasBegun = true;
        this.#host.send(auth);
      },
      (error: MqttError) => {
        if (this.#current === current) this.#abandon(current, error);
      },
    );
  }

  #abandon(current: Exchange, error: MqttError): void {
    if (current.hasBegun) return this.#host.fail(error);
    this.#current = undefined;
    current.fail(error);
  }
}
