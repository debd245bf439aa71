import { Buffer } from 'node:buffer';
import { isIPv6 } from 'node:net';
import { MqttCredentialsError } from '../connection-errors.js';
import { resolveCredentials } from '../credentials/resolve-credentials.js';
import { MqttArgumentError } from '../errors.js';
import { untilAborted } from '../promises.js';
import type { Credentials, CredentialsRequest } from '../credentials/credentials.js';
import type { Proxy, ProxyHeaders } from './proxy-options.js';

const MOST_HEADER_BYTES = 16_384;
/** They are ours to say, or say where this request ends. */
const RESERVED_HEADERS = new Set(['host', 'connection', 'content-length', 'transfer-encoding']);

/**
 * The CONNECT request with what the proxy's providers say at this moment. Nothing in it can begin a line of its own.
 *
 * @throws MqttCredentialsError, or the signal's reason
 * @internal
 */
export async function connectRequest(
  proxy: Proxy,
  host: string,
  port: number,
  asked: CredentialsRequest,
): Promise<string> {
  const authority = authorityOf(host, port);
  const request = { ...asked, server: proxy.label };
  const headers = await headersOf(proxy, request);
  const authorization =
    proxy.credentials && basic(await resolveCredentials(proxy.credentials, request, 'proxy.credentials'));
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** @throws MqttArgumentError when the host is neither a name nor an address @internal */
export function authorityOf(host: string, port: number): string {
  if (isIPv6(host)) return `[${host}]:${port}`;
  if (!/^[\w.~%-]+$/.test(host)) throw new MqttArgumentError('host', host, 'a host name or an IP address');
  return `${host}:${port}`;
}

async function headersOf({ headers }: Proxy, request: CredentialsRequest): Promise<ProxyHeaders> {
  if (headers === undefined) return {};
  let given: unknown;
  try {
    given = await untilAborted(Promise.resolve(request).then(headers), request.signal);
  } catch (cause) {
    request.signal.throwIfAborted();
    throw new MqttCredentialsError('proxy.headers failed; its error is the cause', { cause });
  }
  const problem = headersProblem(given);
  if (problem !== undefined) throw new MqttCredentialsError(`proxy.headers returned ${problem}`);
  return given as ProxyHeaders;
}

function basic({ username = '', password = '' }: Credentials): string {
  if (username.includes(':'))
    throw new MqttCredentialsError("the proxy's user name has a colon, which Basic authentication cannot express");
  return `Basic ${Buffer.concat([Buffer.from(`${username}:`), Buffer.from(password as Uint8Array)]).toString('base64')}`;
}

/** What is wrong with headers for a proxy; repeats no value. @internal */
export function headersProblem(headers: unknown): string | undefined {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return 'something else than an object';
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return 'a header name that HTTP does not allow';
    if (RESERVED_HEADERS.has(name.toLowerCase())) return `the header ${name}, which is not free to choose`;
    if (typeof value !== 'string' || !/^[\t\x20-\x7e]*$/.test(value))
      return `a value of ${name} that is no line of printable ASCII`;
    bytes += name.length + value.length + 4;
  }
  return bytes > MOST_HEADER_BYTES ? `more than ${MOST_HEADER_BYTES} bytes of headers` : undefined;
}
