import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { MqttProtocolError } from '../connection-errors.js';

const PACKET_TOO_LARGE = 0x95;
const NORMAL_CLOSURE = 1000;
/** What `close` tells when the server said nothing wrong: normal, going away, no code, no close frame. */
const QUIET_CLOSURES: ReadonlySet<number> = new Set([NORMAL_CLOSURE, 1001, 1005, 1006]);

/**
 * The bytes of an open WebSocket. Packets may begin and end anywhere in the frames [MQTT-6.0.0-2].
 * Destroyed by a text frame and by a frame that is too large.
 *
 * @internal
 */
export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, maxFrameBytes: number) {
    super();
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      if (!isBinary) this.destroy(new MqttProtocolError('a WebSocket text frame [MQTT-6.0.0-1]'));
      else if (!this.push(data)) socket.pause();
    });
    socket.on('error', (error) => this.destroy(violation(error, maxFrameBytes) ?? error));
    socket.on('close', (code, reason) => {
      if (QUIET_CLOSURES.has(code)) this.push(null);
      else
        this.destroy(
          new Error(`the server closed the WebSocket with code ${code} ${JSON.stringify(reason.toString())}`),
        );
    });
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.send(chunk, { binary: true, compress: false }, done);
  }

  /** Our close frame; the server answers with its own, and closes. */
  override _final(done: (error?: Error | null) => void): void {
    this.#socket.close(NORMAL_CLOSURE);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.terminate();
    done(error);
  }
}

function violation(error: Error & { readonly code?: string }, maxFrameBytes: number): MqttProtocolError | undefined {
  if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return new MqttProtocolError(`a WebSocket message of more than ${maxFrameBytes} bytes`, PACKET_TOO_LARGE, {
      cause: error,
    });
  }
  return error.code?.startsWith('WS_ERR_')
    ? new MqttProtocolError(error.message, undefined, { cause: error })
    : undefined;
}
