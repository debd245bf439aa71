import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { untilAborted } from './promises.js';
import type { Clock } from './clock.js';
import { asBuffer, encodeConnect } from './codec/encoder.js';
import { reasonText } from './codec/reason-codes.js';
import { Connection, type Connack } from './connection.js';
import { Authenticator } from './credentials/authenticator.js';
import type { Credentials, CredentialsRequest } from './credentials/credentials.js';
import { CredentialsSource } from './credentials/credentials-source.js';
import { expiryMs } from './credentials/expiry.js';
import {
  MqttConnectTimeoutError,
  MqttConnectionError,
  MqttConnectionRefusedError,
  MqttCredentialsError,
  MqttProtocolError,
} from './connection-errors.js';
import { MqttError } from './errors.js';
import type { SessionIdentity } from './identity.js';
import { negotiate, type Negotiated } from './negotiated.js';
import type { Dial, DialContext } from './network/dial.js';
import { tlsAlertOf, tlsExpected } from './network/tls-errors.js';
import type { ResolvedOptions, Server } from './options.js';
import { mayFallBack, ServerVersions } from './server-versions.js';

const UNSUPPORTED_PROTOCOL_VERSION = 0x84;

/** A connection whose CONNECT was accepted; reads nothing more until it is opened. @internal */
export interface Established {
  readonly connection: Connection;
  readonly negotiated: Negotiated;
  /** An earlier CONNECT left without an answer that we used: the session may be one that it began, and not the one we know. */
  readonly isSessionInDoubt: boolean;
  /** By the time of day; `Infinity` when they do not. */
  readonly credentialsExpireAtMs: number;
  /** The same for what the authentication began with. */
  readonly authenticationExpiresAtMs: number;
}

/**
 * Makes one connection attempt to one server: credentials, network, CONNECT, CONNACK under one deadline. Remembers which
 * version each server speaks.
 *
 * @internal
 */
export class Connector {
  readonly #dial: Dial;
  readonly #clock: Clock;
  readonly #credentials = new CredentialsSource();
  readonly #versions = new ServerVersions();
  #isSessionInDoubt = false;

  constructor(dial: Dial, clock: Clock) {
    this.#dial = dial;
    this.#clock = clock;
  }

  /** @throws MqttError of every kind; never leaves a connection open */
  async connect(
    server: Server,
    options: ResolvedOptions,
    identity: SessionIdentity,
    stop: AbortSignal,
  ): Promise<Established> {
    const deadline = new AbortController();
    let step = 'asking for credentials';
    let firstBytes: Buffer | undefined;
    let closedSilently = false;
    const timer = this.#clock.startTimer(
      () => deadline.abort(new MqttConnectTimeoutError(server.label, options.connectTimeoutMs, step)),
      options.connectTimeoutMs,
    );
    const signal = AbortSignal.any([stop, deadline.signal]);
    try {
      for (;;) {
        const version = closedSilently ? 4 : this.#versions.of(server, options);
        step = 'asking for credentials';
        const { clientId, clean } = identity.of(options, version);
        const request = this.#request(server, clientId, signal);
        const credentials = await this.#credentials.ask(options.credentials ?? server.credentials, request);
        const { username, password } = credentials;
        const authenticator = options.authentication && new Authenticator(options.authentication);
        const authenticationData = authenticator && (await untilAborted(authenticator.start(request), signal));
        // Before there is a stream that a CONNECT which cannot be encoded would leave open.
        const connect = encodeConnect(
          {
            ...options,
            clientId,
            clean,
            username,
            authenticationMethod: authenticator?.method,
            authenticationData,
            password: typeof password === 'string' ? Buffer.from(password) : password && asBuffer(password),
          },
          version,
        );
        step = 'opening the network connection';
        const stream = await this.#open(server, signal, { options, request, step: (name) => (step = name) });
        this.#assertFresh(credentials, stream);
        stream.once('data', (chunk: Buffer) => (firstBytes = Buffer.from(chunk.subarray(0, 2))));
        step = 'waiting for CONNACK';
        const connection = new Connection(
          stream,
          version,
          options.maxPacketBytes,
          options.topicAliasMaximum,
          options.requestProblemInformation,
          this.#clock,
        );
        const isSessionInDoubt = this.#isSessionInDoubt;
        this.#isSessionInDoubt = true;
        const connack = await connection.handshake(connect, authenticator, signal).catch((error: MqttError) => {
          const wasClosed = error.code === 'MQTT_CONNECTION_LOST' && firstBytes === undefined;
          if (wasClosed && this.#versions.mayBeAboutVersion(server, version, options)) return undefined;
          return abandon(connection, error, stop);
        });
        if (connack === undefined) {
          closedSilently = true;
          continue;
        }
        if (closedSilently) this.#versions.learnFromSilence(server);
        else if (connack.reasonCode === 0) this.#versions.learn(server, version);
        if (connack.reasonCode === 0) {
          if (connack.sessionPresent && clean) throw unwantedSession(connection);
          await accept(connack, authenticator, signal).catch((error: MqttError) => abandon(connection, error, stop));
          const negotiated = negotiate(options, version, server.label, clientId, connack);
          return {
            connection,
            negotiated,
            isSessionInDoubt,
            credentialsExpireAtMs: expiryMs(credentials),
            authenticationExpiresAtMs: authenticator?.expiresAtMs ?? Infinity,
          };
        }
        this.#isSessionInDoubt = isSessionInDoubt;
        connection.fail(refusal(server, connack));
        const fallsBack = connack.reasonCode === UNSUPPORTED_PROTOCOL_VERSION && version === 5 && mayFallBack(options);
        if (!fallsBack) throw refusal(server, connack);
        this.#versions.learn(server, 4);
      }
    } catch (error) {
      throw attemptError(server, error as Error, firstBytes);
    } finally {
      timer.cancel();
    }
  }

  /** What the last CONNACK said of the session has been taken over. */
  used(): void {
    this.#isSessionInDoubt = false;
  }

  /**
   * Asks for the credentials of the next attempt before there is one.
   *
   * @returns when they expire
   * @throws MqttCredentialsError, or the signal's reason
   */
  prepareCredentials(server: Server, options: ResolvedOptions, clientId: string, signal: AbortSignal): Promise<number> {
    const request = this.#request(server, clientId, signal);
    return this.#credentials.prepare(options.credentials ?? server.credentials, request);
  }

  /** Whether the network connection to a server can be opened; closes it at once. @throws what keeps it from that */
  async look(server: Server, options: ResolvedOptions, clientId: string, signal: AbortSignal): Promise<void> {
    const request = this.#request(server, clientId, signal);
    const stream = await this.#open(server, signal, { options, request, step: () => {} });
    stream.on('error', () => {}).destroy();
  }

  /** What providers are told. */
  #request(server: Server, clientId: string, signal: AbortSignal): CredentialsRequest {
    return { clientId, server: server.label, epochMs: this.#clock.epochMs(), signal };
  }

  /** A network that took its time must not make us knock with a token that is good no longer. */
  #assertFresh(credentials: Credentials, stream: Duplex): void {
    if (expiryMs(credentials) > this.#clock.epochMs()) return;
    stream.on('error', () => {}).destroy();
    throw new MqttCredentialsError(
      'the credentials expired while the network connection was being opened: let them live longer than connectTimeoutMs',
    );
  }

  /** A dial that ignores its signal must not outlive the attempt. */
  #open(server: Server, signal: AbortSignal, context: DialContext): Promise<Duplex> {
    signal.throwIfAborted();
    const dialled = this.#dial(server, signal, context);
    const closeLate = (): void => void dialled.then((stream) => stream.on('error', () => {}).destroy()).catch(() => {});
    return untilAborted(dialled, signal).catch((error: unknown) => {
      closeLate();
      throw error;
    });
  }
}

/** The server may have accepted us already: one that is told that we leave on purpose does not publish the will. */
async function abandon(connection: Connection, error: MqttError, stop: AbortSignal): Promise<never> {
  if (stop.aborted) await connection.disconnect(error, { reasonCode: 0x00 });
  else connection.fail(error);
  throw error;
}

/** Lets the user's authentication judge the server that has accepted us. */
async function accept(
  { properties }: Connack,
  authenticator: Authenticator | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (authenticator === undefined) {
    if ((properties.authenticationMethod ?? properties.authenticationData) === undefined) return;
    throw new MqttProtocolError('CONNACK with an authentication that nobody asked for [MQTT-4.12.0-6]');
  }
  authenticator.assertMethod(properties);
  await untilAborted(authenticator.verify(properties), signal);
}

function refusal(server: Server, { reasonCode, properties }: Connack): MqttConnectionRefusedError {
  return new MqttConnectionRefusedError(
    reasonCode,
    reasonText(reasonCode, properties.reasonString),
    server.label,
    properties.serverReference,
  );
}

/** What ended an attempt, in words that name the server. */
function attemptError(server: Server, error: Error, firstBytes: Buffer | undefined): MqttError {
  if (error instanceof MqttProtocolError) return tlsExpected(firstBytes, server, error) ?? error;
  const isOfAttempt = error instanceof MqttError && error.code !== 'MQTT_CONNECTION_LOST';
  if (isOfAttempt) return error;
  // In TLS 1.3 a server judges our certificate when the handshake is over for us.
  const tlsAlert = tlsAlertOf(error instanceof MqttError ? error.cause : error, server);
  if (tlsAlert !== undefined) return tlsAlert;
  const isSilent = error instanceof MqttError && firstBytes === undefined;
  const hint = isSilent ? silenceHint(server) : '';
  return new MqttConnectionError(
    'MQTT_CONNECT_FAILED',
    `cannot connect to ${server.label}: ${error.message}${hint}`,
    'not-sent',
    { cause: error },
  );
}

/** What it may mean that the server closes without a word. */
function silenceHint({ scheme }: Server): string {
  if (scheme === 'mqtt') return '; if this port speaks TLS, use mqtts:';
  const isSecure = scheme === 'mqtts' || scheme === 'wss';
  return isSecure ? '; the server may want a client certificate, or another one (tls.cert)' : '';
}

/** What the server has kept is not what we asked for: resuming it would mix two sessions. */
function unwantedSession(connection: Connection): MqttProtocolError {
  const error = new MqttProtocolError('Session Present where a clean start was asked for [MQTT-3.2.2-2]');
  connection.fail(error);
  return error;
}
