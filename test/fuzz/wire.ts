import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../lib/eventloop/clock.js';

/** Time that moves when the fuzzer says so. */
export class ManualClock implements Clock {
  readonly #timers = new Set<{ callback: () => void; dueMs: number }>();
  #nowMs = 0;

  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return this.#nowMs;
  }

  startTimer(callback: () => void, delayMs: number): { cancel(): void } {
    const timer = { callback, dueMs: this.#nowMs + delayMs };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = Array.from(this.#timers).filter(({ dueMs }) => dueMs <= this.#nowMs);
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback();
  }
}

/**
 * As much of a socket as a connection uses, without the cost of one. Bytes arrive when `feed` or `turn` is called; a write
 * completes, and an end is answered, with the next `turn`.
 */
export class Wire extends EventEmitter {
  readonly sent: Buffer[] = [];
  destroyed = false;
  /** Stops of the reader since the fuzzer last set it to 0. */
  pauses = 0;
  /** What `end` was called with: the last packet. */
  lastPacket: Buffer | undefined;
  readonly #report: (problem: string) => void;
  #ended = false;
  #closed = false;
  #paused = false;
  #arriving: Buffer[] = [];
  #writes: ((error?: Error) => void)[] = [];

  constructor(report: (problem: string) => void) {
    super();
    this.#report = report;
  }

  get hasEnded(): boolean {
    return this.#ended || this.destroyed;
  }

  get asStream(): Duplex {
    return this as unknown as Duplex;
  }

  write(bytes: Buffer, callback?: (error?: Error) => void): boolean {
    if (this.hasEnded) this.#report('wrote after the end');
    this.sent.push(Buffer.from(bytes));
    if (callback !== undefined) this.#writes.push(callback);
    return true;
  }

  end(lastPacket?: Buffer): void {
    if (this.hasEnded) this.#report('ended the stream twice');
    this.#ended = true;
    this.lastPacket = lastPacket;
  }

  destroy(): void {
    this.destroyed = true;
    this.#arriving = [];
  }

  pause(): void {
    this.pauses++;
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** These chunks arrive at once, as far as the reader takes them. */
  feed(chunks: Iterable<Buffer>): void {
    this.#arriving.push(...chunks);
    this.#deliver();
  }

  turn(): void {
    const writes = this.#writes;
    this.#writes = [];
    for (const written of writes) written(this.destroyed ? new Error('destroyed') : undefined);
    this.#deliver();
    if (this.hasEnded) this.close();
  }

  /** The other side is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = this.destroyed = true;
    this.emit('close');
  }

  #deliver(): void {
    const chunks = this.#arriving;
    let next = 0;
    while (next < chunks.length && !this.#paused && !this.destroyed) this.emit('data', chunks[next++]);
    if (next > 0) this.#arriving = chunks.slice(next);
  }
}
