import type { Duplex } from 'node:stream';
import { openBaseStream } from './base-stream.js';
import type { Dial } from './dial.js';
import { Tls } from './tls.js';

/**
 * The network of one loop. It puts the stream of an attempt together, layer on layer: TCP, a Unix socket or what a hook opens; TLS.
 * Each layer takes the attempt's signal, and closes the one below when it fails.
 *
 * @internal
 */
export class Network {
  readonly #tls = new Tls();
  readonly #proxyTls = new Tls();

  readonly dial: Dial = async (server, signal, context): Promise<Duplex> => {
    const { options, step } = context;
    if (server.scheme !== 'mqtts') return openBaseStream(server, signal, context, this.#proxyTls);
    // Before there is a stream that they would leave open.
    const prepared = await this.#tls.prepare(options.tls!, server, signal);
    const stream = await openBaseStream(server, signal, context, this.#proxyTls);
    step('doing the TLS handshake');
    return this.#tls.handshake(stream, server, prepared, signal);
  };
}
