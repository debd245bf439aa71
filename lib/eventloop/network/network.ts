import type { Duplex } from 'node:stream';
import type { Dial } from './dial.js';
import { openBaseStream } from './base-stream.js';

/**
 * Opens the stream of one attempt, layer on layer. Each layer takes the attempt's signal, and closes the one below when it fails.
 *
 * @internal
 */
export const dialNetwork: Dial = async (server, signal, { options }): Promise<Duplex> =>
  openBaseStream(server, signal, options);
