import type { QoS, Resumption, Version } from '../wire.js';

/** A client library as the benchmarks use it: its own promise API, its own way to hand over messages, default options. */
export interface BenchClient {
  /** Resolves when the exchange is complete. */
  publish(topic: string, payload: Buffer, qos: QoS): Promise<unknown>;
  /** Resolves when the library's own queue has taken it; `completed` when the exchange is complete. Where there is such a queue. */
  enqueue?(topic: string, payload: Buffer, qos: QoS): Promise<{ readonly completed: Promise<unknown> }>;
  onMessage(onMessage: () => void): void;
  subscribe(filters: readonly string[], qos: QoS): Promise<unknown>;
  /** Gives up what is not done. */
  close(): Promise<unknown>;
}

export interface ConnectOptions {
  readonly url: string;
  readonly protocolVersion: Version;
  /** Publishes under way at once, where the library bounds them. */
  readonly inflight?: number;
  /** So many at least can wait for that, where the library bounds them. */
  readonly queued?: number;
}

export type Connect = (options: ConnectOptions) => Promise<BenchClient>;

/** A client whose first connection is cut. */
export interface ResumingClient extends BenchClient {
  /** Resolves once the session is resumed. */
  readonly resumed: Promise<void>;
}

/** What `clients/*.ts` export, as far as the library can do it. */
export interface ClientModule {
  readonly connect: Connect;
  /** A client that goes on trying where nothing listens, with a queue of so many publishes where it has a bound. */
  readonly offline: (options: ConnectOptions, bound: number) => Promise<BenchClient>;
  readonly resuming: (url: string, resumption: Resumption) => Promise<ResumingClient>;
}
