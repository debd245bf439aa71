import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { lentReads } from './lent-reads.js';

/** How a socket is opened. @internal */
export interface SocketOptions {
  readonly timeoutMs?: number | undefined;
  /** For the MQTT connection itself: its chunks are lent (lent-reads.ts), and it is paused. Other layers may keep theirs. */
  readonly lendsChunks?: boolean | undefined;
}

/** An open socket; rejects with its error, with a timeout, or with the signal's reason, and is then closed. @internal */
export function openSocket(
  target: { readonly host: string; readonly port: number } | { readonly path: string },
  signal: AbortSignal,
  { timeoutMs, lendsChunks = false }: SocketOptions = {},
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onread = lendsChunks ? { onread: lentReads(() => socket) } : {};
    const socket: Socket = connect({ ...target, ...onread, noDelay: true } as NetConnectOpts);
    if (lendsChunks) socket.pause();
    const settle = (): void => {
      socket.removeListener('connect', onConnect);
      socket.removeListener('error', fail);
      socket.setTimeout(0);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      settle();
      socket.on('error', () => {}).destroy();
      reject(error);
    };
    const onConnect = (): void => {
      settle();
      resolve(socket);
    };
    const onAbort = (): void => fail(signal.reason as Error);
    const onTimeout = (): void =>
      fail(new Error(`connect ${'path' in target ? target.path : `${target.host}:${target.port}`} timed out`));
    socket.once('connect', onConnect).once('error', fail);
    if (timeoutMs !== undefined) socket.setTimeout(timeoutMs, onTimeout);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
