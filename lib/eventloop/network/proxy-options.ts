import type { Credentials, CredentialsProvider, CredentialsRequest } from '../credentials/credentials.js';
import type { TlsOptions } from './network-options.js';
import type { NoProxy } from './no-proxy.js';
import type { ResolvedTls } from './resolved-tls.js';

/** @publicApi */
export type ProxyHeaders = Readonly<Record<string, string>>;

/** Asked before every attempt, inside the connect deadline; the request's `server` is the proxy. @publicApi */
export type ProxyHeadersProvider = (request: CredentialsRequest) => ProxyHeaders | Promise<ProxyHeaders>;

/** What holds for a proxy wherever its address comes from. @publicApi */
export interface ProxySettings {
  /**
   * For Basic authentication: user name and password, or a function that is asked for them before every attempt.
   * They precede the user information of the proxy's URL.
   */
  readonly credentials?: Credentials | CredentialsProvider | undefined;
  /**
   * Sent with CONNECT, for other authentication than Basic for example: an object, or a function that is asked before every attempt.
   */
  readonly headers?: ProxyHeaders | ProxyHeadersProvider | undefined;
  /** Of the connection to an `https:` proxy; that to the server has its own. Default: what Node trusts, no client certificate. */
  readonly tls?: TlsOptions | undefined;
}

/** A proxy that is named. @publicApi */
export interface ProxyByUrl extends ProxySettings {
  /** `http://` or `https://` (TLS to the proxy itself), host, optional port (80, 443) and user information. */
  readonly url: string;
  readonly fromEnvironment?: false | undefined;
}

/**
 * The proxy that the environment names when the event loop is made: `HTTPS_PROXY` for `mqtts:` and `wss:`, `HTTP_PROXY` for `mqtt:`
 * and `ws:`, else `ALL_PROXY`; none for hosts that `NO_PROXY` lists, and for this computer itself.
 *
 * @publicApi
 */
export interface ProxyFromEnvironment extends ProxySettings {
  readonly fromEnvironment: true;
  readonly url?: undefined;
}

/** @publicApi */
export type ProxyOptions = ProxyByUrl | ProxyFromEnvironment;

/** An HTTP proxy. @internal */
export interface Proxy {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** For people: scheme, host and port, never user information. */
  readonly label: string;
  readonly credentials: Credentials | CredentialsProvider | undefined;
  readonly headers: ProxyHeadersProvider | undefined;
  /** Defined for `https:`. */
  readonly tls: ResolvedTls | undefined;
}

/** Which proxy for which server. @internal */
export interface Proxies {
  /** For `mqtts:` and `wss:`. */
  readonly secure: Proxy | undefined;
  /** For `mqtt:` and `ws:`. */
  readonly plain: Proxy | undefined;
  /** Undefined: all servers are reached through the proxy. */
  readonly except: NoProxy | undefined;
}

/** The proxy on the way to a server. @internal */
export function proxyFor({ secure, plain, except }: Proxies, server: ProxiedServer): Proxy | undefined {
  const proxy = server.scheme === 'mqtts' || server.scheme === 'wss' ? secure : plain;
  return except?.covers(server.host, server.port) === true ? undefined : proxy;
}

/** @internal */
export interface ProxiedServer {
  readonly scheme: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
}

/** The words of the `tls` option, said of `proxy.tls`. @internal */
export function inProxyTerms(text: string): string {
  return text.replaceAll(/\btls(?=\.[a-z])/g, 'proxy.tls');
}
