import type { Duplex } from 'node:stream';

/** Where a connection goes, without credentials and without the query of a URL. @publicApi */
export type ConnectTarget =
  | { readonly scheme: 'mqtt' | 'mqtts'; readonly host: string; readonly port: number }
  | { readonly scheme: 'ws' | 'wss'; readonly host: string; readonly port: number; readonly path: string }
  | { readonly scheme: 'unix'; readonly path: string };

/**
 * Opens the byte stream under a connection, in place of TCP and Unix sockets, before every attempt. TLS and WebSocket come on top
 * of it as the URL's scheme says.
 *
 * `signal` aborts when the attempt has ended: stop then, and close what is open. A stream that comes later is destroyed.
 * A throw or rejection fails the attempt with {@link MqttConnectionError}.
 *
 * @publicApi
 */
export type ConnectHook = (target: ConnectTarget, signal: AbortSignal) => Duplex | Promise<Duplex>;

/** One or more PEM blocks. @publicApi */
export type Pem = string | Uint8Array;

/** @publicApi */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/**
 * TLS of `mqtts:` and `wss:`. What is given as text or bytes is used for the life of the loop; files (`…File`) are read at
 * construction and again before every attempt, so that what was renewed there takes effect with the next connection.
 *
 * @publicApi
 */
export interface TlsOptions {
  /** The certificate authorities to trust, in place of those that come with Node (and NODE_EXTRA_CA_CERTS). */
  readonly ca?: Pem | readonly Pem[] | undefined;
  readonly caFile?: string | readonly string[] | undefined;
  /** The client certificate, its chain behind it. Needs a key. */
  readonly cert?: Pem | undefined;
  readonly certFile?: string | undefined;
  /** Its private key: PKCS#8, PKCS#1 (RSA) or SEC1 (EC), also encrypted. */
  readonly key?: Pem | undefined;
  readonly keyFile?: string | undefined;
  /** Of an encrypted key, or of the PFX. */
  readonly passphrase?: string | undefined;
  /** Client certificate, chain and key in one (PKCS#12), in place of `cert` and `key`. */
  readonly pfx?: Uint8Array | undefined;
  readonly pfxFile?: string | undefined;
  /** Revocation lists; with them every certificate of the server's chain must be covered by one. */
  readonly crl?: Pem | readonly Pem[] | undefined;
  readonly crlFile?: string | readonly string[] | undefined;
  /** Offered to the server, which chooses one: `['x-amzn-mqtt-ca']` or `['mqtt']` reach AWS IoT on port 443. */
  readonly alpnProtocols?: readonly string[] | undefined;
  /** The name to ask for (SNI) and to verify, in place of the URL's host. */
  readonly servername?: string | undefined;
  /** False accepts any certificate, and with it anybody who stands between: only for experiments. Default true. */
  readonly rejectUnauthorized?: boolean | undefined;
  /** Default `TLSv1.2`. */
  readonly minVersion?: TlsVersion | undefined;
  /** Default `TLSv1.3`. */
  readonly maxVersion?: TlsVersion | undefined;
  /** OpenSSL's cipher list. Default: Node's. */
  readonly ciphers?: string | undefined;
}

/** HTTP headers. @publicApi */
export type WebSocketHeaders = Readonly<Record<string, string>>;

/**
 * The handshake of `ws:` and `wss:`. Functions are asked before every attempt, inside its deadline; what they return counts as
 * secret. A throw, or anything else than what they should return, fails the attempt with {@link MqttCredentialsError}.
 *
 * @publicApi
 */
export interface WebSocketOptions {
  /** Further HTTP headers, or a function that returns them. */
  readonly headers?:
    | WebSocketHeaders
    | ((target: ConnectTarget, signal: AbortSignal) => WebSocketHeaders | Promise<WebSocketHeaders>)
    | undefined;
  /**
   * Returns the URL to ask for, presigned for example. Scheme, host and port have to be those of the target: only path and query
   * may be others.
   */
  readonly url?: ((target: ConnectTarget, signal: AbortSignal) => string | URL | Promise<string | URL>) | undefined;
}
