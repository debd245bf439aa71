import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions, type SecureContext, type TLSSocket } from 'node:tls';
import { MqttTlsError } from '../connection-errors.js';
import type { ResolvedTls, TlsMaterial } from './resolved-tls.js';
import { tlsError } from './tls-errors.js';
import { isSameMaterial, readMaterial, secureContext, type TlsProblem } from './tls-material.js';

/** Servers whose last TLS session is kept: those of the url list, and where they refer to. */
const MOST_SESSIONS = 16;

/** A server, or a proxy. @internal */
export interface TlsPeer {
  readonly host: string;
  readonly label: string;
}

interface Prepared {
  readonly tls: ResolvedTls;
  readonly material: TlsMaterial;
  readonly context: SecureContext;
  /** By server: what lets the next handshake be a short one. */
  readonly sessions: Map<string, Buffer>;
}

/** The TLS of one loop: certificates and keys as they are now, and sessions to resume. @internal */
export class Tls {
  #prepared: Prepared | undefined;

  /**
   * Reads certificates and keys anew where they are files. A session made with others is not resumed: it would go on
   * with the old certificates of both sides.
   *
   * @throws MqttTlsError when they cannot be used any more
   */
  async prepare(tls: ResolvedTls, server: Pick<TlsPeer, 'label'>, signal: AbortSignal): Promise<Prepared> {
    const last = this.#prepared?.tls === tls ? this.#prepared : undefined;
    if (last !== undefined && tls.files.length === 0) return last;
    const material = await readMaterial(tls, signal);
    if (isProblem(material)) throw unusable(material, server);
    if (last !== undefined && isSameMaterial(material, last.material)) return last;
    const context = secureContext(tls, material);
    if (isProblem(context)) throw unusable(context, server);
    return (this.#prepared = { tls, material, context, sessions: new Map() });
  }

  /** TLS on top of a stream, which is destroyed with it. @throws MqttTlsError, or the signal's reason */
  handshake(stream: Duplex, server: TlsPeer, prepared: Prepared, signal: AbortSignal): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const { sessions } = prepared;
      const { label } = server;
      const socket = connect({ ...connectionOptions(server, prepared), socket: stream });
      const settle = (): void => {
        signal.removeEventListener('abort', onAbort);
        socket.removeListener('error', onError);
        socket.removeListener('close', onClose);
      };
      const fail = (error: Error): void => {
        settle();
        sessions.delete(label);
        socket.on('error', () => {}).destroy();
        stream.on('error', () => {}).destroy();
        reject(error);
      };
      const onError = (error: Error): void => fail(tlsError(error, server));
      const onClose = (): void => onError(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
      const onAbort = (): void => fail(signal.reason as Error);
      socket.on('session', (session: Buffer) => remember(sessions, label, session));
      socket.once('close', () => stream.destroy());
      socket.once('error', onError).once('close', onClose);
      socket.once('secureConnect', () => {
        settle();
        resolve(socket);
      });
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }
}

function connectionOptions({ host, label }: TlsPeer, { tls, context, sessions }: Prepared): ConnectionOptions {
  const servername = tls.servername ?? (isIP(host) === 0 ? host : undefined);
  const session = sessions.get(label);
  return {
    // What is verified where there is no server name: an address has none.
    host,
    secureContext: context,
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(servername === undefined ? {} : { servername }),
    ...(tls.alpnProtocols === undefined ? {} : { ALPNProtocols: [...tls.alpnProtocols] }),
    ...(session === undefined ? {} : { session }),
  };
}

function remember(sessions: Map<string, Buffer>, label: string, session: Buffer): void {
  sessions.delete(label);
  sessions.set(label, session);
  if (sessions.size > MOST_SESSIONS) sessions.delete(sessions.keys().next().value!);
}

function isProblem(outcome: TlsMaterial | SecureContext | TlsProblem): outcome is TlsProblem {
  return 'problem' in outcome;
}

function unusable({ option, problem }: TlsProblem, server: Pick<TlsPeer, 'label'>): MqttTlsError {
  return new MqttTlsError('unusable-files', server.label, `${option} ${problem}`);
}
