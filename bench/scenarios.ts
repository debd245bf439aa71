import type { QoS } from './wire.js';

export type ClientName = 'ours' | 'mqttjs' | 'builtin';

/** What one client process has to do. */
export type Task = {
  readonly client: ClientName;
  readonly url: string;
  readonly messages: number;
  readonly warmUp: number;
} & Work;

type Work =
  | { readonly kind: 'publish' | 'receive'; readonly qos: QoS }
  /** Messages go round as many of the handlers, those registered last. */
  | { readonly kind: 'events'; readonly handlers: number; readonly topics: number }
  | { readonly kind: 'memory' };

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly work: Work;
  /** Measured messages of each client: enough for half a second of CPU time or more, few enough to wait for. */
  readonly messages: Readonly<Partial<Record<ClientName, number>>>;
  /** How many times less CPU than the peer we promise. */
  readonly target?: number;
}

export const clientTitles: Readonly<Record<ClientName, string>> = {
  ours: 'nestjs-rumqtt',
  mqttjs: 'MQTT.js',
  builtin: 'Nest built-in',
};

export const scenarios: readonly Scenario[] = [
  exchange('publish', 0),
  exchange('publish', 1, 3),
  exchange('publish', 2),
  exchange('receive', 0),
  exchange('receive', 1, 3),
  exchange('receive', 2),
  events('events-1', 'event through Nest, 1 handler', 1, 1, 50_000, 3),
  events('events-100', 'event for one of 100 handlers, in turn', 100, 100, 20_000, 12),
  events('events-1000', 'event for one of 1,000 handlers, in turn', 1_000, 1_000, 3_000, 100),
  // The worst case of a transport that looks at one handler after the other.
  events('events-1000-last', 'event for the last of 1,000 handlers', 1_000, 1, 2_000),
  {
    name: 'memory',
    title: 'a million QoS 1 publishes offered to a dead broker',
    work: { kind: 'memory' },
    messages: { ours: 1_000_000, mqttjs: 1_000_000 },
  },
];

function exchange(kind: 'publish' | 'receive', qos: QoS, target?: number): Scenario {
  return {
    name: `${kind}-qos${qos}`,
    title: `${kind} QoS ${qos}`,
    work: { kind, qos },
    messages: { ours: 300_000, mqttjs: 100_000 },
    ...(target !== undefined && { target }),
  };
}

function events(
  name: string,
  title: string,
  handlers: number,
  topics: number,
  builtinMessages: number,
  target?: number,
): Scenario {
  return {
    name,
    title,
    work: { kind: 'events', handlers, topics },
    messages: { ours: 200_000, builtin: builtinMessages },
    ...(target !== undefined && { target }),
  };
}
