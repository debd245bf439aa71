import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { MqttWebSocketError } from '../connection-errors.js';
import type { MqttError } from '../errors.js';
import { tlsAlertOf } from './tls-errors.js';
import type { WebSocketRequest, WebSocketServer } from './websocket-request.js';
import { WebSocketStream } from './websocket-stream.js';

/** A frame may hold many packets; some brokers send all that they have in one. Beyond this it is not held in memory. */
const FRAME_MARGIN_BYTES = 4 * 1_048_576;

/** An optional peer, loaded where it is used. @internal */
export async function loadWebSocket(): Promise<typeof WebSocket> {
  return (await import('ws')).WebSocket;
}

/**
 * The WebSocket handshake on top of a stream, which is destroyed with it.
 *
 * @throws MqttWebSocketError, MqttTlsError, or the signal's reason
 * @internal
 */
export function openWebSocket(
  WebSocketClass: typeof WebSocket,
  stream: Duplex,
  server: WebSocketServer,
  { url, headers }: WebSocketRequest,
  maxPacketBytes: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const maxFrameBytes = maxPacketBytes + FRAME_MARGIN_BYTES;
  return new Promise<Duplex>((resolve, reject) => {
    const socket = new WebSocketClass(url, ['mqtt'], {
      createConnection: () => stream,
      headers: { ...headers },
      followRedirects: false,
      perMessageDeflate: false,
      maxPayload: maxFrameBytes,
    });
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
    };
    const fail = (error: Error): void => {
      settle();
      socket.on('error', () => {}).terminate();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason as Error);
    socket.once('error', (cause) => fail(handshakeError(cause, server)));
    socket.once('unexpected-response', (_request, { statusCode }) => fail(refusal(statusCode!, server)));
    socket.once('open', () => {
      settle();
      // In this very moment: the first frame comes before anybody who waits for a promise.
      resolve(new WebSocketStream(socket, maxFrameBytes));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  }).catch((error: unknown) => {
    stream.on('error', () => {}).destroy();
    throw error;
  });
}

function handshakeError(cause: NodeJS.ErrnoException, server: WebSocketServer): MqttError {
  return tlsAlertOf(cause, server) ?? new MqttWebSocketError(server.label, problem(cause), undefined, { cause });
}

function problem({ code = '', message }: NodeJS.ErrnoException): string {
  if (code.startsWith('HPE_')) return 'what answers there does not speak HTTP; check the port, or use mqtt: or mqtts:';
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return 'the server closed the connection during the WebSocket handshake; check that the port speaks WebSocket';
  if (message.includes('subprotocol'))
    return 'the server does not take the subprotocol mqtt; check that the path of the url leads to MQTT';
  return `the WebSocket handshake failed: ${message}`;
}

function refusal(status: number, server: WebSocketServer): MqttWebSocketError {
  return new MqttWebSocketError(server.label, `the server answers with HTTP status ${status}; ${cure(status)}`, status);
}

function cure(status: number): string {
  if (status === 401 || status === 403) return 'check webSocket.headers or the signature of the URL, and the clock';
  if (status === 404) return 'check the path of the url';
  if (status >= 300 && status < 400) return 'redirections are not followed: put the final address into the url';
  return 'check that host, port and path lead to a WebSocket of the broker';
}
