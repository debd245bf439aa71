import type { Duplex } from 'node:stream';
import type { Clock } from './clock.js';
import { Decoder, type PacketSink } from './codec/decoder.js';
import { encodeDisconnect } from './codec/encoder.js';
import { Framer } from './codec/framer.js';
import type { ProtocolVersion } from './codec/packet-types.js';
import { CONTINUE_AUTHENTICATION } from './codec/reason-codes.js';
import type { ReceivedProperties } from './codec/property-reader.js';
import { PacketWriter } from './codec/writer.js';
import type { Authenticator } from './credentials/authenticator.js';
import { MqttConnectionError, MqttCredentialsError, MqttProtocolError } from './connection-errors.js';
import { MqttError, MqttPacketTooLargeError } from './errors.js';

/** How long the server may take to close its side after our DISCONNECT. */
const LINGER_MS = 1_000;
const UNSPECIFIED_ERROR = 0x80;
/** Node reads a busy socket up to 32 times before it looks at anything else. So much is a matter of milliseconds, whatever handlers do. */
const MOST_BYTES_A_TURN = 131_072;

/** Whether packets are handled as they come. @internal */
export const Reading = {
  Flows: 0,
  /** Enough for this turn of the Node event loop: what else is there comes first. */
  Yields: 1,
  /** The user may not read on. */
  Paused: 2,
} as const;

/** @internal */
export type Reading = (typeof Reading)[keyof typeof Reading];

/** The answer to CONNECT. @internal */
export interface Connack {
  readonly sessionPresent: boolean;
  /** Of MQTT 5 on both versions. */
  readonly reasonCode: number;
  readonly properties: ReceivedProperties;
}

/** What our DISCONNECT says. @internal */
export interface Farewell {
  readonly reasonCode: number;
  /** MQTT 5: replaces the session expiry of CONNECT. */
  readonly sessionExpirySeconds?: number | undefined;
}

/** Who uses an open connection. @internal */
export interface ConnectionUser {
  /** May throw an {@link MqttError}, which ends the connection. */
  readonly sink: PacketSink;
  /** Asked before every packet: unless it flows, it stays unread, and so does the socket. */
  reading(): Reading;
  /** Bytes came; called before their packets are handled. */
  received(bytes: number): void;
  /** The packets of a chunk are handled. */
  handled(): void;
  /** The write is complete; another may begin. */
  flushed(): void;
  /** Once, whatever the reason; nothing is called afterwards. */
  ended(cause: MqttError): void;
}

/**
 * One network connection and its bytes: framing and decoding inwards, one coalesced write at a time outwards.
 * Reads only as far as CONNACK until it is opened for its user.
 *
 * @internal
 */
export class Connection {
  readonly writer = new PacketWriter();
  readonly #stream: Duplex;
  readonly #clock: Clock;
  readonly #version: ProtocolVersion;
  readonly #framer: Framer;
  readonly #decoder: Decoder;
  #user: ConnectionUser | undefined;
  #connack: Connack | undefined;
  #authenticator: Authenticator | undefined;
  #onHandshake: ((outcome: Connack | MqttError) => void) | undefined;
  #writing = false;
  #reading: Reading = Reading.Flows;
  #bytesThisTurn = 0;
  #endedBy: MqttError | undefined;

  constructor(
    stream: Duplex,
    version: ProtocolVersion,
    maxPacketBytes: number,
    topicAliasMaximum: number,
    wantsProblemInformation: boolean,
    clock: Clock,
  ) {
    this.#stream = stream;
    this.#clock = clock;
    this.#version = version;
    this.#framer = new Framer(version, maxPacketBytes);
    this.#decoder = new Decoder(version, topicAliasMaximum, wantsProblemInformation);
    // A chunk is lent for the time of its event (network/lent-reads.ts).
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (cause: Error) =>
      this.fail(cause instanceof MqttError ? cause : lost(cause.message, { cause })),
    );
    stream.on('end', () => this.fail(lost('the server closed the network connection')));
    stream.on('close', () => this.fail(lost('the network connection was closed')));
    stream.resume();
  }

  get isWriting(): boolean {
    return this.#writing;
  }

  get hasEnded(): boolean {
    return this.#endedBy !== undefined;
  }

  /** Why it ended, once it has. */
  get endedBy(): MqttError | undefined {
    return this.#endedBy;
  }

  /** Sends CONNECT and waits for CONNACK, accepting or refusing. An aborted wait leaves the connection to the caller. */
  handshake(connect: Buffer, authenticator: Authenticator | undefined, signal: AbortSignal): Promise<Connack> {
    return new Promise((resolve, reject) => {
      this.#authenticator = authenticator;
      const onAbort = (): void => this.#onHandshake?.(signal.reason as MqttError);
      this.#onHandshake = (outcome) => {
        this.#onHandshake = undefined;
        signal.removeEventListener('abort', onAbort);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      if (signal.aborted) return this.fail(signal.reason as MqttError);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#stream.write(connect);
    });
  }

  /** From now on packets go to the user, those that came right behind CONNACK first. */
  open(user: ConnectionUser): void {
    this.#user = user;
    this.#framer.connected();
    this.#resume();
  }

  /** Writes what the writer holds. Only one write is under way at a time, so the writer's buffer is free again afterwards. */
  flush(): number {
    const { bytes } = this.writer;
    this.#writing = true;
    this.#stream.write(bytes, (error) => {
      this.#writing = false;
      this.writer.reset();
      if (!error && !this.hasEnded) this.#user?.flushed();
    });
    return bytes.length;
  }

  get isPaused(): boolean {
    return this.#reading === Reading.Paused;
  }

  /** Once a turn: handles buffered packets and resumes the socket, as far as the user may read again. */
  read(): void {
    this.#bytesThisTurn = 0;
    if (this.#reading === Reading.Flows || this.hasEnded) return;
    this.#resume();
    if (this.#reading === Reading.Yields) this.#user?.handled();
  }

  /** Ends the connection for this reason; on MQTT 5 the server is told when it is about what it has said. */
  fail(cause: MqttError): void {
    if (this.hasEnded) return;
    this.#end(cause);
    const reasonCode = farewellReason(cause);
    if (this.#version === 5 && this.#connack !== undefined && reasonCode !== undefined) {
      void this.#close(encodeDisconnect(reasonCode, 5));
    } else this.#stream.destroy();
  }

  /** Ends the connection on purpose: DISCONNECT is the last packet [MQTT-3.14.4-1], then both sides close. */
  disconnect(cause: MqttError, farewell: Farewell | undefined): Promise<void> {
    if (this.hasEnded) return Promise.resolve();
    this.#end(cause);
    return this.#close(farewell && encodeDisconnect(farewell.reasonCode, this.#version, farewell.sessionExpirySeconds));
  }

  #end(cause: MqttError): void {
    this.#endedBy = cause;
    this.#onHandshake?.(cause);
    this.#user?.ended(cause);
  }

  /** Closing a socket with unread bytes resets it and may destroy the DISCONNECT on its way, hence the reading. */
  #close(lastPacket: Buffer | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.startTimer(() => this.#stream.destroy(), LINGER_MS);
      const closed = (): void => {
        timer.cancel();
        resolve();
      };
      if (this.#stream.destroyed) return closed();
      this.#stream.once('close', closed);
      this.#stream.once('end', () => this.#stream.destroy());
      this.#stream.resume();
      this.#stream.end(lastPacket);
    });
  }

  #onData(chunk: Buffer): void {
    if (this.hasEnded) return;
    this.#user?.received(chunk.length);
    this.#framer.push(chunk);
    this.#resume();
    this.#framer.release();
    if (this.hasEnded || this.#user === undefined) return;
    this.#bytesThisTurn += chunk.length;
    if (this.#bytesThisTurn >= MOST_BYTES_A_TURN && this.#reading === Reading.Flows) this.#read(Reading.Yields);
    this.#user.handled();
  }

  #resume(): void {
    const reading = this.#handlePackets();
    if (!this.hasEnded) this.#read(reading);
  }

  #read(reading: Reading): void {
    if (reading === this.#reading) return;
    this.#reading = reading;
    if (reading === Reading.Flows) this.#stream.resume();
    else this.#stream.pause();
  }

  /** @returns why it stopped, unless it came to the end */
  #handlePackets(): Reading {
    try {
      while (!this.hasEnded) {
        const user = this.#user;
        const reading = user?.reading() ?? (this.#connack === undefined ? Reading.Flows : Reading.Paused);
        if (reading !== Reading.Flows) return reading;
        if (!this.#framer.next()) break;
        this.#decoder.decode(this.#framer, user?.sink ?? this.#handshakeSink);
      }
    } catch (error) {
      // Only the server's bytes and our own limits throw here: users' code is shielded where it is called.
      this.fail(error instanceof MqttError ? error : lost('a packet could not be handled', { cause: error }));
    }
    return Reading.Flows;
  }

  #challenged(reasonCode: number, properties: ReceivedProperties | undefined): void {
    const authenticator = this.#authenticator;
    if (authenticator === undefined) throw unaskedAuth();
    if (reasonCode !== CONTINUE_AUTHENTICATION) unexpected('AUTH with success before CONNACK');
    authenticator.assertMethod(properties);
    authenticator.answer(properties).then(
      (auth) => this.hasEnded || this.#stream.write(auth),
      (error: MqttError) => this.fail(error),
    );
  }

  /** Until CONNACK the framer lets nothing else through but AUTH. */
  readonly #handshakeSink: PacketSink = {
    connack: (sessionPresent, reasonCode, properties = {}) => {
      this.#connack = { sessionPresent, reasonCode, properties };
      this.#onHandshake?.(this.#connack);
    },
    auth: (reasonCode, properties) => this.#challenged(reasonCode, properties),
    publish: () => unexpected('PUBLISH before CONNACK'),
    acknowledgement: () => unexpected('an acknowledgement before CONNACK'),
    subscriptionAcknowledgement: () => unexpected('SUBACK before CONNACK'),
    pingresp: () => unexpected('PINGRESP before CONNACK'),
    disconnect: () => unexpected('DISCONNECT before CONNACK'),
  };
}

/** The server may not begin an enhanced authentication. @internal */
export function unaskedAuth(): MqttProtocolError {
  return new MqttProtocolError('AUTH that nobody asked for [MQTT-4.12.0-6]');
}

function farewellReason(cause: MqttError): number | undefined {
  if (cause instanceof MqttProtocolError) return cause.reasonCode;
  // An authentication that we refuse, or cannot complete [MQTT-4.12.1-2].
  const isOfAuthentication = cause instanceof MqttCredentialsError || cause instanceof MqttPacketTooLargeError;
  return isOfAuthentication ? UNSPECIFIED_ERROR : undefined;
}

function unexpected(what: string): never {
  throw new MqttProtocolError(what);
}

function lost(message: string, options?: ErrorOptions): MqttConnectionError {
  return new MqttConnectionError('MQTT_CONNECTION_LOST', message, 'unknown', options);
}
