import type { EventLoopOptions } from '../../lib/eventloop/options.js';

export type QoS = 0 | 1 | 2;

/** How the network behaves when nothing is wrong with it. */
export interface Weather {
  readonly delayMs: readonly [number, number];
  readonly splitChance: number;
  /** The kernel takes this much before a write has to wait. */
  readonly sendBufferBytes: number;
  readonly slowWriteChance: number;
}

export const CALM: Weather = { delayMs: [0, 1], splitChance: 0, sendBufferBytes: 1_000_000, slowWriteChance: 0 };

/** What an MQTT 5 broker announces in CONNACK. */
export interface BrokerLimits {
  readonly receiveMaximum?: number;
  readonly maximumQoS?: 0 | 1;
  readonly maximumPacketSize?: number;
  readonly retainAvailable?: false;
  readonly topicAliasMaximum?: number;
}

export interface BrokerConfig {
  /** Time from a packet to its answer. */
  readonly latencyMs: readonly [number, number];
  readonly limits: BrokerLimits;
  /** Unacknowledged messages towards a client of MQTT 3.1.1. */
  readonly window311: number;
  /** Refuses MQTT 5. */
  readonly only311: boolean;
}

export interface HandlerConfig {
  /** How long a handler may take. */
  readonly takesMs: readonly [number, number];
  readonly synchronous: number;
  readonly fails: number;
  /** Publishes QoS 1 and waits for it. */
  readonly replies: number;
  readonly consumer: 'handler' | 'iterator';
}

/** Client options that the simulation understands. */
export type ClientOptions = EventLoopOptions & {
  readonly throttle?: { readonly messagesPerSecond: number; readonly burst: number; readonly bytesPerSecond?: number };
  readonly inflight: number;
  readonly requestCapacity: number;
  readonly requestCapacityBytes: number;
  readonly maxWaiters: number;
  readonly incomingCapacity: number;
  readonly incomingCapacityBytes: number;
  readonly receiveMaximum: number;
  readonly keepAliveSeconds: number;
  readonly reconnect: {
    readonly policy: 'never' | 'after-first-success' | 'always';
    readonly minDelayMs: number;
    readonly maxDelayMs: number;
    readonly factor: number;
    readonly jitter: 'full' | 'none';
    readonly stableAfterMs: number;
  };
};

export type Action =
  | {
      readonly do: 'publish';
      readonly qos: QoS;
      readonly bytes: number;
      readonly count: number;
      readonly via: 'publish' | 'enqueue' | 'tryEnqueue';
      readonly timeoutMs?: number;
      readonly abortAfterMs?: number;
      readonly retain?: true;
      /** To a topic that an MQTT 5 broker refuses. */
      readonly refused?: true;
      /** What happens in the same turn of the event loop, before anything can be written. */
      readonly andThen?: 'pause' | 'reconnect' | 'reset';
    }
  | { readonly do: 'subscribe'; readonly filters: readonly string[]; readonly qos: QoS; readonly timeoutMs?: number }
  | { readonly do: 'unsubscribe'; readonly filters: readonly string[] }
  | { readonly do: 'pause' }
  | { readonly do: 'resume' }
  | { readonly do: 'reconnect'; readonly throttle?: ClientOptions['throttle'] }
  | { readonly do: 'shutdown'; readonly drainTimeoutMs: number; readonly publishWill: boolean }
  /** Somebody else publishes to what the client subscribes to. */
  | {
      readonly do: 'deliver';
      readonly topic: string;
      readonly qos: QoS;
      readonly bytes: number;
      readonly count: number;
    }
  | {
      readonly do: 'cut';
      readonly direction: 'up' | 'down';
      readonly afterBytes: number;
      readonly how: 'reset' | 'fin';
    }
  | { readonly do: 'half-open' }
  | { readonly do: 'freeze'; readonly forMs: number }
  | {
      readonly do: 'restart';
      readonly keepSessions: boolean;
      readonly downMs: number;
      readonly dials: 'refuses' | 'hangs';
    }
  | { readonly do: 'limits'; readonly limits: BrokerLimits }
  | { readonly do: 'kick'; readonly reasonCode: number }
  | { readonly do: 'refuse'; readonly times: number; readonly reasonCode: number }
  | { readonly do: 'stray'; readonly cmd: 'puback' | 'pubrec' | 'pubcomp' | 'pubrel' };

/** `number` names what the step publishes, so that it keeps its name when others are taken out. */
export type Step = Action & { readonly number: number; readonly atMs: number };

/** Everything a run depends on. The same program always takes the same course. */
export interface Program {
  readonly seed: string;
  readonly options: ClientOptions;
  readonly weather: Weather;
  readonly broker: BrokerConfig;
  readonly handlers: HandlerConfig;
  /** How long what the credentials provider returns is good for: longer than a handler takes; undefined for ever. */
  readonly credentialsLastMs: number | undefined;
  readonly steps: readonly Step[];
}

/** @returns one line for people */
export function describeStep({ number, atMs, do: what, ...rest }: Step): string {
  const values = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return `${atMs.toFixed(0).padStart(7)} ms  #${number} ${what} ${values.join(', ')}`.trimEnd();
}
