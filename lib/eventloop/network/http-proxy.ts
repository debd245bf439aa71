import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { MqttProxyError, MqttTlsError } from '../connection-errors.js';
import type { DialContext } from './dial.js';
import { HttpResponseHeadReader, type HttpResponseHead } from './http-response-head.js';
import { authorityOf, connectRequest } from './proxy-request.js';
import { inProxyTerms, type ProxiedServer, type Proxy } from './proxy-options.js';
import { openTcp } from './tcp.js';
import type { Tls } from './tls.js';

const SCHEMES = ['Basic', 'Bearer', 'Digest', 'Negotiate', 'NTLM', 'Kerberos'];

/**
 * A tunnel to a server through an HTTP CONNECT proxy. The signal bounds it as a whole: the proxy's credentials, its address,
 * the connection to it and its answer.
 *
 * @param tls of the loop's https: proxies
 * @throws MqttProxyError, MqttCredentialsError or the signal's reason; leaves nothing open then
 * @internal
 */
export async function connectThroughProxy(
  proxy: Proxy,
  { host, port }: ProxiedServer,
  signal: AbortSignal,
  { request: asked, step }: DialContext,
  tls: Tls,
): Promise<Duplex> {
  step(`asking for what to tell the proxy ${proxy.label}`);
  const request = await connectRequest(proxy, host, port, asked);
  step(`connecting to the proxy ${proxy.label}`);
  const stream = await dialProxy(proxy, tls, signal);
  step(`waiting for the proxy ${proxy.label} to answer`);
  return openTunnel(stream, request, proxy, authorityOf(host, port), signal);
}

async function dialProxy(proxy: Proxy, tls: Tls, signal: AbortSignal): Promise<Duplex> {
  try {
    const prepared = proxy.tls && (await tls.prepare(proxy.tls, proxy, signal));
    const socket = await openTcp(proxy.host, proxy.port, proxy.label, signal);
    return prepared === undefined ? socket : await tls.handshake(socket, proxy, prepared, signal);
  } catch (cause) {
    signal.throwIfAborted();
    const isTls = cause instanceof MqttTlsError;
    const message = `cannot be reached: ${inProxyTerms((cause as Error).message)}${isTls ? '' : '; check proxy.url'}`;
    throw new MqttProxyError(proxy.label, isTls ? 'tls' : 'unreachable', message, undefined, { cause });
  }
}

function openTunnel(
  stream: Duplex,
  request: string,
  proxy: Proxy,
  authority: string,
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const reader = new HttpResponseHeadReader();
    const settle = (): void => {
      stream.off('readable', onReadable).off('error', onClose).off('end', onClose).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error): void => {
      settle();
      stream.on('error', () => {}).destroy();
      reject(error);
    };
    // Reading only what is there leaves the stream neither flowing nor paused, as whoever gets it expects.
    const onReadable = (): void => {
      let head: HttpResponseHead | undefined;
      try {
        for (let chunk: Buffer | null; head === undefined && (chunk = stream.read() as Buffer | null) !== null;) {
          head = reader.push(chunk);
        }
      } catch (problem) {
        return fail(invalidResponse(proxy, problem as Error));
      }
      if (head === undefined) return;
      if (head.status >= 300) return fail(refusal(proxy, authority, head, request));
      settle();
      if (head.surplus.length > 0) stream.unshift(head.surplus);
      resolve(stream);
    };
    const onClose = (cause?: Error): void => fail(hungUp(proxy, cause));
    const onAbort = (): void => fail(signal.reason as Error);
    stream.on('readable', onReadable).on('error', onClose).on('end', onClose).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else stream.write(request);
  });
}

function invalidResponse({ label }: Proxy, problem: Error): MqttProxyError {
  const message = `answered CONNECT with ${problem.message}; check that an HTTP proxy listens there, and http: or https: in proxy.url`;
  return new MqttProxyError(label, 'invalid-response', message);
}

function hungUp({ label }: Proxy, cause: Error | undefined): MqttProxyError {
  const message = `closed the connection before it had answered CONNECT${cause ? ` (${cause.message})` : ''}; check http: or https: in proxy.url, and the proxy's log`;
  return new MqttProxyError(label, 'closed', message, undefined, cause && { cause });
}

/** The reason phrase is left out: a proxy could repeat our secrets in it. */
function refusal(proxy: Proxy, authority: string, head: HttpResponseHead, request: string): MqttProxyError {
  const { status } = head;
  const said = `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
  // tinyproxy answers 401 to a wrong password.
  if (status !== 407 && status !== 401) {
    const message = `refused a tunnel to ${authority}: ${said}; ${cureOf(status)}`;
    return new MqttProxyError(proxy.label, 'refused', message, status);
  }
  const sentSome = /^proxy-authorization:/im.test(request);
  const message = `${sentSome ? 'did not accept the proxy credentials' : 'asks for proxy credentials'}: ${said}${offered(head)}; ${sentSome ? 'correct' : 'set'} proxy.credentials or proxy.headers`;
  return new MqttProxyError(proxy.label, 'credentials', message, status);
}

function cureOf(status: number): string {
  if (status >= 500) return 'check that the proxy can resolve and reach this host and port';
  return 'many proxies allow CONNECT to port 443 only: allow this host and port there, or use a wss: listener on 443';
}

/** Which schemes the proxy takes: only names that we know, for it could repeat our secrets here, too. */
function offered({ headers }: HttpResponseHead): string {
  const challenges = headers.get('proxy-authenticate')?.toLowerCase().split(/[ ,]+/) ?? [];
  const schemes = SCHEMES.filter((scheme) => challenges.includes(scheme.toLowerCase()));
  return schemes.length === 0 ? '' : ` (it takes ${schemes.join(', ')})`;
}
