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
  | { readonly kind: 'events'; readonly handlers: number }
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
  events(1, 3, 50_000),
  events(100, 12, 20_000),
  events(1_000, 100, 3_000),
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

function events(handlers: number, target: number, builtinMessages: number): Scenario {
  return {
    name: `events-${handlers}`,
    title: `event through Nest, ${handlers.toLocaleString('en')} ${handlers === 1 ? 'handler' : 'handlers'}`,
    work: { kind: 'events', handlers },
    messages: { ours: 200_000, builtin: builtinMessages },
    target,
  };
}
