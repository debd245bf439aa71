import type { Duplex } from 'node:stream';
import type { Server } from '../options.js';

/**
 * Opens a byte stream to a server. The network seam: TCP is one, tests bring others.
 * Must reject promptly with the signal's reason when it aborts, and leave nothing open.
 *
 * @internal
 */
export type Dial = (server: Server, signal: AbortSignal) => Promise<Duplex>;
