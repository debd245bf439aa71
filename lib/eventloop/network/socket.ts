import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** An open socket; rejects with its error, with a timeout, or with the signal's reason, and is then closed. @internal */
export function openSocket(
  target: { readonly host: string; readonly port: number } | { readonly path: string },
  signal: AbortSignal,
  timeoutMs?: number,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, noDelay: true } as NetConnectOpts);
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
