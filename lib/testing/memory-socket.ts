import { Buffer } from 'node:buffer';
// Taken from the module, so that fake timers on the global object do not stop the test kit.
import { setImmediate } from 'node:timers';
import { Duplex } from 'node:stream';

function socketError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}

/**
 * One end of a connection inside the process that behaves like a TCP socket: bytes arrive in a later turn of the
 * event loop, never inside the writer's call; a write completes when the other end has read it, so a reader that
 * pauses holds the writer back at once; a reset surfaces as `ECONNRESET`, a write to a vanished peer as `EPIPE`.
 * (`stream.duplexPair()` does none of this.)
 *
 * @internal
 */
export class MemorySocket extends Duplex {
  #peer!: MemorySocket;
  /** Completes the write that is under way. */
  #completeWrite: ((error?: Error | null) => void) | undefined;
  /** The write under way lies in the peer's buffer and waits for its reader. */
  #delivered = false;
  #receivedEnd = false;
  #reset = false;

  /** Two connected ends. The client answers an end of stream with its own, as `net.connect` does. */
  static pair(): [client: MemorySocket, server: MemorySocket] {
    // A buffer of one byte: whoever pauses takes one more chunk and no further one.
    const client = new MemorySocket({ allowHalfOpen: false, readableHighWaterMark: 1 });
    const server = new MemorySocket({ allowHalfOpen: true, readableHighWaterMark: 1 });
    client.#peer = server;
    server.#peer = client;
    return [client, server];
  }

  /** Like `net.Socket.resetAndDestroy`: the other end sees `ECONNRESET`; bytes on the way are lost. */
  resetAndDestroy(): this {
    this.#reset = true;
    return this.destroy();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#completeWrite = callback;
    // As a kernel does: once the write completes its buffer is the writer's again.
    const copy = Buffer.from(chunk);
    setImmediate(() => this.#deliver(copy));
  }

  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', callback);
  }

  #deliver(chunk: Buffer): void {
    if (this.destroyed) return;
    const peer = this.#peer;
    if (peer.destroyed) return this.#finishWrite(socketError('EPIPE', 'write EPIPE'));
    this.#delivered = true;
    if (chunk.length === 0) this.#finishWrite();
    else peer.push(chunk);
  }

  #finishWrite(error: Error | null = null): void {
    const complete = this.#completeWrite;
    this.#completeWrite = undefined;
    this.#delivered = false;
    complete?.(error);
  }

  override _read(): void {
    if (this.#peer.#delivered) this.#peer.#finishWrite();
  }

  override _final(callback: (error?: Error | null) => void): void {
    setImmediate(() => {
      this.#peer.#receiveEnd();
      callback();
    });
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#finishWrite(error ?? socketError('ERR_STREAM_DESTROYED', 'The socket was closed during a write'));
    setImmediate(() => {
      const peer = this.#peer;
      if (this.#reset) peer.destroy(socketError('ECONNRESET', 'read ECONNRESET'));
      else peer.#receiveEnd();
      // What the peer wrote has left its hands, as with a kernel's buffer.
      if (peer.#delivered) peer.#finishWrite();
    });
    callback(error);
  }

  #receiveEnd(): void {
    if (this.#receivedEnd || this.destroyed) return;
    this.#receivedEnd = true;
    this.push(null);
  }
}
