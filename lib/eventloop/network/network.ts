import type { Duplex } from 'node:stream';
import type { Server } from '../options.js';
import { openBaseStream } from './base-stream.js';
import type { Dial, DialContext } from './dial.js';
import { Tls } from './tls.js';
import { webSocketRequest } from './websocket-request.js';
import { loadWebSocket, openWebSocket } from './websocket.js';

/**
 * The network of one loop. It puts the stream of an attempt together, layer on layer: TCP, a tunnel, a Unix socket or what a hook opens; TLS;
 * WebSocket. Each layer takes the attempt's signal, and closes the one below when it fails.
 *
 * @internal
 */
export class Network {
  readonly #tls = new Tls();
  readonly #proxyTls = new Tls();

  readonly dial: Dial = async (server, signal, context): Promise<Duplex> => {
    if (server.scheme !== 'ws' && server.scheme !== 'wss') return this.#openSecure(server, signal, context);
    const { options, step } = context;
    // Before there is a stream that its failure would leave open.
    step('asking for the URL and the headers of the WebSocket');
    const WebSocket = await loadWebSocket();
    const request = await webSocketRequest(server, options.webSocket, signal);
    step('opening the network connection');
    const stream = await this.#openSecure(server, signal, context);
    step('doing the WebSocket handshake');
    return openWebSocket(WebSocket, stream, server, request, options.maxPacketBytes, signal);
  };

  async #openSecure(server: Server, signal: AbortSignal, context: DialContext): Promise<Duplex> {
    const { options, step } = context;
    if (server.scheme !== 'mqtts' && server.scheme !== 'wss')
      return openBaseStream(server, signal, context, this.#proxyTls);
    const prepared = await this.#tls.prepare(options.tls!, server, signal);
    const stream = await openBaseStream(server, signal, context, this.#proxyTls);
    step('doing the TLS handshake');
    return this.#tls.handshake(stream, server, prepared, signal);
  }
}
