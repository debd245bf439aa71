import type { Clock } from './clock.js';
import type { EventLoopEvents, EventLoopStatus } from './events.js';
import type {
  Delivery,
  IncomingMessage,
  MessageHandler,
  OperationOptions,
  PublishOptions,
  PublishResult,
  SubscribeOptions,
  SubscribeRequestOptions,
  SubscribeResult,
} from './messages.js';
import type { Negotiated } from './negotiated.js';
import type { Dial } from './network/dial.js';
import type { EventLoopOptions } from './options.js';
import type { EventLoopStats } from './stats.js';

/** What a test replaces: time, randomness, network. @publicApi */
export interface EventLoopRuntime {
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  readonly dial?: Dial;
}

/** @publicApi */
export interface ShutdownOptions {
  /** How long queue, window and handlers may take to drain. Default 10 000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Ask the broker to publish the will (MQTT 5). Default false: the will is cancelled. */
  readonly publishWill?: boolean | undefined;
}

/** SKELETON: signatures only; the body is being written. */
export declare class EventLoop {
  constructor(options?: EventLoopOptions, runtime?: EventLoopRuntime);
  get status(): EventLoopStatus;
  get negotiated(): Negotiated | undefined;
  stats(): EventLoopStats;
  start(): Promise<void>;
  publish(topic: string, payload: Uint8Array | string, options?: PublishOptions): Promise<PublishResult>;
  enqueue(topic: string, payload: Uint8Array | string, options?: PublishOptions): Promise<Delivery>;
  tryEnqueue(topic: string, payload: Uint8Array | string, options?: PublishOptions): Delivery | undefined;
  subscribe(
    filter: string | Readonly<Record<string, SubscribeOptions>>,
    options?: SubscribeRequestOptions,
  ): Promise<SubscribeResult>;
  unsubscribe(filters: string | readonly string[], options?: OperationOptions): Promise<void>;
  onMessage(handler: MessageHandler): () => void;
  messages(filter?: string): AsyncIterableIterator<IncomingMessage>;
  on<E extends keyof EventLoopEvents>(event: E, listener: (payload: EventLoopEvents[E]) => void): () => void;
  pause(): Promise<void>;
  resume(): Promise<void>;
  reconnect(options?: Partial<EventLoopOptions>): Promise<void>;
  shutdown(options?: ShutdownOptions): Promise<void>;
}
