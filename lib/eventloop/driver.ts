import type { Clock, Timer } from './clock.js';
import type { PacketSink } from './codec/decoder.js';
import { Reading, type Connection, type ConnectionUser, type Farewell } from './connection.js';
import type { Established } from './connector.js';
import { MqttKeepAliveTimeoutError } from './connection-errors.js';
import type { MqttError } from './errors.js';
import type { PublishResult } from './messages.js';
import type { Session } from './session/session.js';
import type { PlainPublish, WrittenPublishes } from './session/written-publishes.js';

/**
 * A server may refuse to read until we have read what it writes. When a write takes this long while we do not read, we read on,
 * lest both sides wait for ever.
 */
const WRITE_BLOCKED_MS = 1_000;
/**
 * So many handlers begin before their promises may go on. What all the messages of a chunk hold at once does not fit into the
 * processor's cache, and is moved by the garbage collector.
 */
const MOST_BEGUN_A_TURN = 100;

interface Drain {
  readonly canSend: () => boolean;
  readonly resolve: (drained: boolean) => void;
}

/**
 * Ties socket, clock and session together. One pump decides all outgoing work: it runs at most once a turn of the Node event
 * loop, so what many callers and many received packets ask for in one turn leaves in one write, and reading is never starved.
 *
 * @internal
 */
export class Driver implements ConnectionUser {
  readonly sink: PacketSink;
  /** What the server of this connection takes. */
  maxPacketBytes = Infinity;
  bytesSent = 0;
  bytesReceived = 0;
  flushes = 0;
  readonly #session: Session;
  readonly #clock: Clock;
  #connection: Connection | undefined;
  #keepAliveSeconds = 0;
  #onEnded: ((cause: MqttError) => void) | undefined;
  #pumpScheduled = false;
  /** When the present turn began. */
  #unsettledBefore = 0;
  #timer: Timer | undefined;
  #timerDueMs = Infinity;
  /** QoS 0 publishes of the write that is under way. */
  #flushing: WrittenPublishes | undefined;
  #drain: Drain | undefined;
  #onQuiet: (() => void) | undefined;
  #writeBegunMs = 0;

  constructor(session: Session, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
    this.sink = session;
  }

  get isReadingPaused(): boolean {
    return this.#connection?.isPaused ?? false;
  }

  /** Takes the connection over. @returns why it ended, when it has */
  open({ connection, negotiated, isSessionInDoubt }: Established, sessionPresent: boolean): Promise<MqttError> {
    return new Promise((resolve) => {
      if (connection.hasEnded) return resolve(connection.endedBy!);
      this.#onEnded = resolve;
      this.#connection = connection;
      this.#keepAliveSeconds = negotiated.keepAliveSeconds;
      this.maxPacketBytes = negotiated.maxPacketBytes;
      this.#session.connected(negotiated, sessionPresent, this.#clock.now(), isSessionInDoubt);
      connection.open(this);
      this.wake();
    });
  }

  /** Our DISCONNECT, or none at all, and the end of the connection. */
  async disconnect(cause: MqttError, farewell: Farewell | undefined): Promise<void> {
    await this.#connection?.disconnect(cause, farewell);
  }

  /**
   * Holds new publishes back for the rest of this connection. Resolves when nothing is under way with the server, when the time is
   * up, or when the connection has ended.
   */
  quiet(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.startTimer(() => this.#onQuiet?.(), timeoutMs);
      this.#onQuiet = () => {
        this.#onQuiet = undefined;
        timer.cancel();
        resolve();
      };
      this.#session.outgoing.hold();
      this.wake();
    });
  }

  /** Sends an AUTH packet. */
  send(packet: Buffer): void {
    this.#session.sendAuth(packet);
    this.wake();
  }

  /** Ends the connection because of something on our side. */
  fail(cause: MqttError): void {
    this.#connection?.fail(cause);
  }

  /** Whether what is published now could be the next to be written. */
  get nothingWaits(): boolean {
    return this.#connection !== undefined && !this.#connection.isWriting && this.#session.nothingWaits;
  }

  /** To be called when nothing waits. @returns undefined when it has to go through the queue nevertheless */
  publishAtOnce(publish: PlainPublish): Promise<PublishResult> | undefined {
    const completed = this.#session.publishAtOnce(publish, this.#connection!.writer);
    if (completed !== undefined) this.wake();
    return completed;
  }

  /** Something may have become possible. */
  wake(): void {
    if (this.#pumpScheduled || (this.#connection === undefined && this.#drain === undefined)) return;
    this.#pumpScheduled = true;
    setImmediate(this.#pump);
  }

  /**
   * Resolves with true when nothing is queued, in flight or being handled; with false when no handler is at work and what is
   * left cannot be sent.
   */
  drained(canSend: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      this.#drain = { canSend, resolve };
      this.wake();
    });
  }

  reading(): Reading {
    const { incoming } = this.#session;
    if (incoming.mustPause) return Reading.Paused;
    return incoming.unsettled - this.#unsettledBefore < MOST_BEGUN_A_TURN ? Reading.Flows : Reading.Yields;
  }

  received(bytes: number): void {
    this.#unsettledBefore = this.#session.incoming.unsettled;
    this.bytesReceived += bytes;
    this.#session.keepAlive.received(this.#clock.now());
  }

  handled(): void {
    this.wake();
  }

  flushed(): void {
    this.#session.isWriteBlocked = false;
    this.#session.keepAlive.writeCompleted(this.#clock.now());
    this.#flushing?.complete();
    this.#flushing = undefined;
    this.wake();
  }

  ended(cause: MqttError): void {
    this.#connection = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
    this.#session.disconnected(cause, this.#flushing, this.#clock.now());
    this.#flushing = undefined;
    this.#onQuiet?.();
    this.#onEnded?.(cause);
  }

  readonly #pump = (): void => {
    this.#pumpScheduled = false;
    const connection = this.#connection;
    if (connection !== undefined) {
      this.#unsettledBefore = this.#session.incoming.unsettled;
      connection.read();
      if (!connection.hasEnded) this.#write(connection);
      const { waitsForAnswer, hasAcknowledgements } = this.#session;
      if (!(connection.isWriting || waitsForAnswer || hasAcknowledgements)) this.#onQuiet?.();
    }
    if (this.#drain !== undefined) this.#checkDrained(this.#drain);
  };

  #checkDrained({ canSend, resolve }: Drain): void {
    const { isDrained, incoming } = this.#session;
    if (!(isDrained && !(this.#connection?.isWriting ?? false)) && (canSend() || incoming.unsettled > 0)) return;
    this.#drain = undefined;
    resolve(isDrained);
  }

  #write(connection: Connection): void {
    const nowMs = this.#clock.now();
    if (!connection.isWriting) {
      this.#session.write(connection.writer, nowMs);
      if (connection.writer.length > 0) {
        this.#flushing = this.#session.takeWritten();
        this.#session.keepAlive.sent(nowMs);
        this.#writeBegunMs = nowMs;
        this.flushes++;
        this.bytesSent += connection.flush();
      }
    }
    this.#arm(nowMs);
  }

  /** One timer for all: it is moved only forward in time, a call too early costs less than moving it with every packet. */
  #arm(nowMs: number): void {
    // A write under way wakes the pump when it completes; till then there is only itself and the link to watch.
    const dueMs = this.#connection?.isWriting
      ? Math.min(this.#writeBlockedAtMs(), this.#session.keepAlive.dueMs)
      : this.#session.dueMs;
    if (dueMs >= this.#timerDueMs || dueMs === Infinity) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.startTimer(this.#onTimer, Math.max(0, dueMs - nowMs));
  }

  /** When the write under way counts as blocked, if that makes a difference. */
  #writeBlockedAtMs(): number {
    return this.isReadingPaused && !this.#session.isWriteBlocked ? this.#writeBegunMs + WRITE_BLOCKED_MS : Infinity;
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    this.#timerDueMs = Infinity;
    const { keepAlive } = this.#session;
    const nowMs = this.#clock.now();
    if (this.#connection?.isWriting && nowMs >= this.#writeBlockedAtMs()) this.#session.isWriteBlocked = true;
    // While we do not read, silence says nothing about the link.
    if (this.isReadingPaused) keepAlive.received(nowMs);
    if (keepAlive.service(nowMs)) {
      this.#connection?.fail(new MqttKeepAliveTimeoutError(this.#keepAliveSeconds, keepAlive.silentMs(nowMs)));
    } else this.#pump();
  };
}
