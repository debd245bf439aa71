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
