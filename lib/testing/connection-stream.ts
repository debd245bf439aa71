import type { Duplex } from 'node:stream';
import { settleTurns } from './settle.js';

/** How long a chunk gets to leave on its own before the next one is written. */
const TURNS_BETWEEN_CHUNKS = 2;

/** @internal */
export interface ConnectionStreamListener {
  data(chunk: Buffer): void;
  /** The client has closed its side, or the link is gone. */
  closed(): void;
}

/**
 * The broker's end of a link, with the faults that a network has: cut, closed, not reading, dead but open.
 *
 * @internal
 */
export class ConnectionStream {
  readonly #stream: Duplex;
  readonly #listener: ConnectionStreamListener;
  #dead = false;
  #chunking = false;
  #closed = false;

  constructor(stream: Duplex, listener: ConnectionStreamListener) {
    this.#stream = stream;
    this.#listener = listener;
    stream.on('data', (chunk: Buffer) => {
      if (!this.#dead) listener.data(chunk);
    });
    // A broker answers an end of stream with its own.
    stream.on('end', () => {
      if (this.#dead) return;
      this.#close();
      stream.end();
    });
    stream.on('close', () => this.#close());
    // Resets are part of the tests; 'close' follows.
    stream.on('error', () => undefined);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.closed();
  }

  /** Neither side has closed. */
  get open(): boolean {
    return !this.#closed && this.#stream.writable;
  }

  /** Bytes that the client has not taken. */
  get backlogBytes(): number {
    return this.#stream.writableLength;
  }

  /** @returns false when the bytes go nowhere, because the link is dead or closed. */
  write(bytes: Buffer): boolean {
    if (this.#chunking) throw new Error('Await sendChunked() before sending anything else');
    return this.#write(bytes);
  }

  #write(bytes: Buffer): boolean {
    if (this.#dead || !this.#stream.writable) return false;
    this.#stream.write(bytes);
    return true;
  }

  async writeChunked(bytes: Buffer, chunkBytes: number): Promise<void> {
    if (!(chunkBytes >= 1)) throw new RangeError('sendChunked() needs chunks of at least one byte');
    if (this.#chunking) throw new Error('Await sendChunked() before sending anything else');
    this.#chunking = true;
    try {
      for (let start = 0; start < bytes.length; start += chunkBytes) {
        this.#write(bytes.subarray(start, start + chunkBytes));
        await settleTurns(TURNS_BETWEEN_CHUNKS);
      }
    } finally {
      this.#chunking = false;
    }
  }

  end(): void {
    if (!this.#dead) this.#stream.end();
  }

  cut(): void {
    const stream = this.#stream as Duplex & { resetAndDestroy?: () => void };
    if (stream.resetAndDestroy) stream.resetAndDestroy();
    else stream.destroy();
  }

  freeze(): void {
    this.#stream.pause();
  }

  thaw(): void {
    this.#stream.resume();
  }

  halfOpen(): void {
    this.#dead = true;
  }
}
