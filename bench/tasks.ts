import type { Payload, QoS, Resumption, Settlement, Version } from './wire.js';

export type ClientName = 'ours' | 'mqttjs' | 'builtin' | 'libmosquitto' | 'limit';

/** What one client process has to do. */
export type Work =
  /** `window` publishes are under way at once, one promise each unless enqueued; `held` more are never acknowledged. */
  | {
      readonly kind: 'publish';
      /** `promise`: with nothing but a promise, without client and server. */
      readonly by?: 'publish' | 'enqueue' | 'promise';
      readonly qos: QoS;
      readonly payload: Payload;
      readonly window?: number;
      readonly held?: number;
      /** The messages are published again and again, each time on a new connection. */
      readonly connections?: number;
    }
  | { readonly kind: 'receive'; readonly qos: QoS; readonly payload: Payload; readonly subscriptions?: number }
  /** Messages go round as many of the handlers, those registered last. `settlement` makes them asynchronous. */
  | {
      readonly kind: 'events';
      readonly qos: QoS;
      readonly handlers: number;
      readonly topics: number;
      readonly settlement?: Settlement;
    }
  /** QoS 1 events on so many topics for one asynchronous handler. */
  | { readonly kind: 'settlement'; readonly topics: number; readonly settlement: Settlement }
  /** With Nest's `send()`, or with our own `request()`. */
  | { readonly kind: 'requests'; readonly concurrency: number; readonly qos: QoS; readonly by: 'send' | 'request' }
  | { readonly kind: 'memory'; readonly bound: number }
  | { readonly kind: 'delay'; readonly qos: QoS; readonly payload: Payload }
  | ({ readonly kind: 'resume' } & Resumption)
  | { readonly kind: 'idle'; readonly connections: number }
  /** Requests that nobody answers. */
  | { readonly kind: 'open-requests'; readonly by: 'request' | 'send' }
  /** Events whose handler fails, and is tried again much later. */
  | { readonly kind: 'open-retries' };

export type Task<W extends Work = Work> = {
  readonly client: ClientName;
  readonly url: string;
  readonly protocolVersion: Version;
  readonly messages: number;
  readonly warmUp: number;
} & W;

export type TaskOf<Kind extends Work['kind']> = Task<Extract<Work, { kind: Kind }>>;

/** What was measured, by the names that a row's metrics have. */
export type Sample = Readonly<Record<string, number>>;
