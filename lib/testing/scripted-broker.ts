import { createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Server } from '../eventloop/options.js';
import { AutoResponder, type ServeOptions } from './auto-responder.js';
import { Mailbox } from './mailbox.js';
import { MemorySocket } from './memory-socket.js';
import type { ConnackOptions } from './packets.js';
import type { ProtocolChecker } from './protocol-checker.js';
import { ScriptedConnection } from './scripted-connection.js';
import type { Violation } from './scripted-connection-host.js';

/** Shorter than the test timeout of common runners, so that the explanation comes first. */
const GUARD_MS = 4_000;

/** @publicApi */
export interface ScriptedBrokerOptions {
  /** Answer every PINGREQ; `ScriptedConnection.autoPing` can change it later. Default false. */
  readonly autoPing?: boolean | undefined;
  /** Real time that a wait may take before it fails with an explanation. Default 4 000. */
  readonly guardMs?: number | undefined;
  /** Rules that the client may break, as they are named in {@link Violation.rule}. */
  readonly tolerate?: readonly string[] | undefined;
}

type Outcome = { readonly refuse: Error } | 'black hole';

/** Answers on connections by itself. @internal */
export interface Responder {
  take(connection: ScriptedConnection): void;
}

/**
 * A broker that does what the test says and checks every byte the client sends.
 *
 * ```ts
 * const broker = new ScriptedBroker();
 * const loop = new EventLoop({ inflight: 1 }, { clock, dial: broker.dial });
 * const started = loop.start();
 * const connection = await broker.acceptConnected();
 * await started;
 * void loop.publish('a', 'one', { qos: 1 });
 * connection.puback(await connection.next('publish'));
 * broker.assertClean();
 * ```
 *
 * @publicApi
 */
export class ScriptedBroker {
  /** Every link so far. */
  readonly connections: ScriptedConnection[] = [];
  /** The servers that were dialled through `dial`, whatever became of it. */
  readonly dialled: string[] = [];
  readonly #inbox = new Mailbox<ScriptedConnection>();
  readonly #sessions = new Map<string, ProtocolChecker>();
  readonly #options: ScriptedBrokerOptions;
  readonly #outcomes: Outcome[] = [];
  readonly #streams = new Set<Duplex>();
  #outage: Error | undefined;
  #responder: Responder | undefined;
  #server: NetServer | undefined;

  constructor(options: ScriptedBrokerOptions = {}) {
    this.#options = options;
  }

  /** Give it to the event loop: connections then stay inside the process. */
  readonly dial = async (server: Pick<Server, 'label'>, signal: AbortSignal): Promise<Duplex> => {
    this.dialled.push(server.label);
    await nextTurn();
    signal.throwIfAborted();
    const outcome = this.#outage ? { refuse: this.#outage } : this.#outcomes.shift();
    if (outcome === 'black hole') {
      return new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    }
    if (outcome) throw outcome.refuse;
    const [client, mine] = MemorySocket.pair();
    this.#add(mine, false);
    return client;
  };

  /** Serves over TCP. @returns the URL to connect to. */
  async listen(port = 0): Promise<string> {
    if (this.#server) throw new Error('The broker listens already');
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #accept(socket: Socket): void {
    const outcome = this.#outage ? { refuse: this.#outage } : this.#outcomes.shift();
    if (outcome === 'black hole') {
      this.#streams.add(socket);
      socket.on('error', () => undefined);
    } else if (outcome) socket.resetAndDestroy();
    else this.#add(socket, true);
  }

  /** Takes any byte stream as a client's link, a WebSocket or TLS stream for example. */
  attach(stream: Duplex): void {
    this.#add(stream, true);
  }

  #add(stream: Duplex, overNetwork: boolean): void {
    const { autoPing = false, tolerate = [] } = this.#options;
    const host = { autoPing, tolerate, guardMs: this.#guardMs, sessions: this.#sessions };
    const connection = new ScriptedConnection(stream, `connection ${this.connections.length + 1}`, overNetwork, host);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    this.connections.push(connection);
    if (this.#responder) this.#responder.take(connection);
    else this.#inbox.put(connection);
  }

  get #guardMs(): number {
    return this.#options.guardMs ?? GUARD_MS;
  }

  // ---- the script

  /** The next link, in the order in which they came in. */
  async accept(): Promise<ScriptedConnection> {
    this.assertClean();
    return this.#inbox.take(this.#guardMs, () => this.#nobodyCame());
  }

  #nobodyCame(): Error {
    const attempts = this.dialled.length > 0 ? `dialled: ${this.dialled.join(', ')}` : 'nothing was dialled';
    return new Error(
      `No connection came within ${this.#guardMs} ms (${this.connections.length} before that; ${attempts}).`,
    );
  }

  /** Accepts a link, reads its CONNECT and sends a CONNACK. */
  async acceptConnected(options?: ConnackOptions): Promise<ScriptedConnection> {
    const connection = await this.accept();
    await connection.connect();
    connection.connack(options);
    return connection;
  }

  /** The next attempt fails; over TCP the link is reset at once. Calls add up. */
  refuseNext(error: Error = refused()): void {
    this.#outcomes.push({ refuse: error });
  }

  /** The next attempt is never answered: `dial` ends when its signal aborts; over TCP the link stays silent. */
  blackholeNext(): void {
    this.#outcomes.push('black hole');
  }

  /** Every attempt fails until `up`. Links that exist stay. */
  down(error: Error = refused()): void {
    this.#outage = error;
  }

  up(): void {
    this.#outage = undefined;
  }

  /**
   * Accepts and acknowledges everything, for tests of volume. Packets are checked, but not kept.
   *
   * @returns a function that leaves new links to `accept` again
   */
  serve(options: ServeOptions = {}): () => void {
    return this.serveWith(new AutoResponder(options));
  }

  /** @internal */
  serveWith(responder: Responder): () => void {
    this.#responder = responder;
    for (const connection of this.#inbox.drain()) responder.take(connection);
    return () => {
      if (this.#responder === responder) this.#responder = undefined;
    };
  }

  // ---- the verdict

  get violations(): Violation[] {
    return this.connections.flatMap(({ violations }) => violations);
  }

  /** Throws when any client has broken a rule. */
  assertClean(): void {
    for (const connection of this.connections) connection.assertClean();
  }

  /** Closes every link and stops listening. */
  async close(): Promise<void> {
    this.#inbox.close(() => new Error('The scripted broker is closed'));
    for (const stream of this.#streams) stream.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

function refused(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' });
}
