import type { QoS } from '../wire.js';

/** A client library as the benchmarks use it: its own promise API, its own way to hand over messages, default options. */
export interface BenchClient {
  /** Resolves when the exchange is complete. */
  publish(topic: string, payload: Buffer, qos: QoS): Promise<unknown>;
  subscribe(filter: string, qos: QoS, onMessage: () => void): Promise<unknown>;
  /** Gives up what is not done. */
  close(): Promise<unknown>;
}

export type Connect = (url: string) => Promise<BenchClient>;

/** What `clients/*.ts` export. */
export interface ClientModule {
  readonly connect: Connect;
  /** A client that goes on trying where nothing listens. */
  readonly offline: Connect;
}
