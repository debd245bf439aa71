import type { ClientName, Work } from './tasks.js';
import { WINDOW, type Payload, type QoS, type Settlement } from './wire.js';

/** One line of a row: a client, or ours once more with other work. */
export interface Entrant {
  readonly name: string;
  readonly title: string;
  readonly client: ClientName;
  readonly work: Work;
  /** Measured messages: enough for half a second of CPU time or more, few enough to wait for; V8 has compiled what they run by then. */
  readonly messages: number;
  readonly warmUp: number;
}

/** What the issue asks for. */
export type Goal =
  /** The entrant's figure is at least so many times the first one's. */
  | { readonly than: string; readonly times: number; readonly isStretch?: boolean }
  /** The first entrant's figure is at most this. */
  | { readonly most: number; readonly isStretch?: boolean }
  /** No other entrant's figure is larger than the first one's by more than this part, except for those named. */
  | { readonly flatWithin: number; readonly except: readonly string[] };

export interface Metric {
  readonly key: string;
  readonly unit: string;
  readonly goals: readonly Goal[];
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Where clients connect to: the fast peer, a port where nothing listens, or a Mosquitto. */
  readonly server: 'peer' | 'dead' | 'mosquitto';
  readonly metrics: readonly Metric[];
  /** Figures are compared with the first one's. */
  readonly entrants: readonly Entrant[];
}

export const clientTitles: Readonly<Record<ClientName, string>> = {
  ours: 'nestjs-rumqtt',
  mqttjs: 'MQTT.js',
  builtin: 'Nest built-in',
  libmosquitto: 'libmosquitto (C)',
  limit: 'raw socket',
};

const cheaper: Goal = { than: 'libmosquitto', times: 1 };
const cpu = (...goals: Goal[]): Metric => ({ key: 'cpuMicros', unit: 'µs CPU', goals });

export interface ScenarioOptions {
  readonly payloadBytes: number;
  /** The rows of flatness go on to ten million messages, and a million requests and retries are open. */
  readonly isLong: boolean;
}

export function scenarios({ payloadBytes, isLong }: ScenarioOptions): readonly Scenario[] {
  return [
    exchange('publish', 0, payloadBytes, [
      { than: 'mqttjs', times: 8 },
      cheaper,
      { than: 'limit', times: 1 / 4, isStretch: true },
    ]),
    exchange('publish', 1, payloadBytes, [{ than: 'mqttjs', times: 8 }, cheaper]),
    exchange('publish', 2, payloadBytes, [{ than: 'mqttjs', times: 10 }, cheaper]),
    exchange('receive', 0, payloadBytes, [{ than: 'mqttjs', times: 6 }, cheaper]),
    exchange('receive', 1, payloadBytes, [{ than: 'mqttjs', times: 12 }, cheaper], {
      name: 'mqttjs-qos0',
      times: 5,
    }),
    exchange('receive', 2, payloadBytes, [{ than: 'mqttjs', times: 12 }, cheaper]),
    events('events-1', 'event, 1 handler', 1, 1, 40_000, 4),
    events('events-100', 'event, 100 handlers in turn', 100, 100, 12_000, 18),
    events('events-1000', 'event, 1 000 handlers in turn', 1_000, 1_000, 2_000, 150),
    // The worst case of a transport that looks at one handler after the other.
    events('events-1000-last', 'event, the last of 1 000 handlers', 1_000, 1, 1_500),
    {
      name: 'after-handler',
      title: 'QoS 1 event, acknowledged after one of 64 asynchronous handlers (built-in: before)',
      server: 'peer',
      metrics: [cpu({ than: 'builtin', times: 5 })],
      entrants: (['ours', 'builtin'] as const).map((client) =>
        entrant(client, { kind: 'events', qos: 1, handlers: 1, topics: 1, settlement: { concurrency: 64 } }, 300_000, {
          builtin: 40_000,
        }),
      ),
    },
    {
      name: 'settlement',
      title: 'QoS 1 event, acknowledged after an asynchronous handler',
      server: 'peer',
      metrics: [cpu({ flatWithin: 0.3, except: [] })],
      entrants: [
        settled('bare', 'bare', {}),
        settled('ordered', 'concurrency 64, ordering by topic', { concurrency: 64, ordering: 'topic' }),
        settled('everything', 'these, retry, dead letter and timeout', {
          concurrency: 64,
          ordering: 'topic',
          handlerTimeoutMs: 30_000,
          retry: { minDelayMs: 1_000, jitter: 'none' },
          deadLetter: 'dead/{topic}',
        }),
      ],
    },
    requests(1, 0.55),
    requests(64, 0.6),
    {
      name: 'memory',
      title: '100 000 QoS 1 publishes offered to a dead broker, bound 10 000',
      server: 'dead',
      metrics: [
        { key: 'boundsMegabytes', unit: 'MB, bounds filled', goals: [] },
        { key: 'growthMegabytes', unit: 'MB more', goals: [{ most: 20 }] },
        { key: 'unsettled', unit: 'pending after close', goals: [{ most: 0 }] },
      ],
      entrants: (['ours', 'mqttjs'] as const).map((client) =>
        entrant(client, { kind: 'memory', bound: 10_000 }, 100_000, {}, 20_000),
      ),
    },
    delay(0, payloadBytes, 20_000, 2_000),
    delay(1, payloadBytes, 100_000, 10_000),
    {
      name: 'resume',
      title: 'resume with 10 000 unacknowledged, 20 ms RTT, Receive Maximum 100',
      server: 'peer',
      metrics: [
        { key: 'ofIdeal', unit: '× n / window × RTT', goals: [{ most: 1.3 }] },
        { key: 'newQos0Rtts', unit: 'RTT to a new QoS 0', goals: [{ most: 1 }] },
      ],
      entrants: [
        entrant('ours', { kind: 'resume', unacknowledged: 10_000, receiveMaximum: 100, rttMs: 20 }, 10_000, {}, 0),
      ],
    },
    {
      name: 'idle',
      title: '1 000 idle connections in one process',
      server: 'peer',
      metrics: [
        { key: 'heapKilobytes', unit: 'KB heap each', goals: [{ most: 60 }] },
        { key: 'timers', unit: 'timers each', goals: [] },
        { key: 'timersStarted', unit: 'timers started in 3 s', goals: [{ most: 0 }] },
      ],
      entrants: (['ours', 'mqttjs'] as const).map((client) =>
        entrant(client, { kind: 'idle', connections: 1_000 }, 0, {}, 0),
      ),
    },
    held('open-requests', 'open requests that nobody answers', isLong, [
      { ...entrant('ours', { kind: 'open-requests', by: 'request' }, 0), name: 'request', title: 'request()' },
      { ...entrant('ours', { kind: 'open-requests', by: 'send' }, 0), name: 'send', title: "Nest's send()" },
    ]),
    held('open-retries', 'events that wait for a retry, beside their own bytes', isLong, [
      entrant('ours', { kind: 'open-retries' }, 0),
    ]),
    flat('flat-handlers', 'event for the last of so many handlers', 0.1, [1, 10, 100, 1_000, 10_000], (handlers) => ({
      work: { kind: 'events', qos: 0, handlers, topics: 1 },
      messages: 200_000,
    })),
    flat(
      'flat-messages',
      'publish QoS 1, so many messages on a connection',
      0.3,
      [1_000, 10_000, 100_000, 1_000_000, ...(isLong ? [10_000_000] : [])],
      (messages) => ({
        work: { kind: 'publish', qos: 1, payload: payloadBytes, connections: Math.max(1, 200_000 / messages) },
        messages,
      }),
    ),
    // Below a window of 100 few messages share a system call: not the client's doing.
    flat(
      'flat-inflight',
      'publish QoS 1, so many in flight',
      0.3,
      [100, 1, 10, 1_000, 10_000, 65_519],
      (window) => ({
        work: { kind: 'publish', qos: 1, payload: payloadBytes, window },
        messages: window < 100 ? 20_000 : 200_000,
      }),
      [1, 10],
    ),
    // Tells what of it is V8's.
    promisesAlone([100, 1_000, 10_000, 65_519]),
    // Nobody keeps a promise: what lives until the acknowledgement is the publish itself.
    flat('flat-enqueued', 'enqueue() at QoS 1, so many in flight', 0.3, [100, 1_000, 10_000, 65_519], (window) => ({
      work: { kind: 'publish', by: 'enqueue', qos: 1, payload: payloadBytes, window },
      messages: 200_000,
    })),
    flat(
      'flat-held',
      'publish QoS 1, so many more never acknowledged',
      0.3,
      [0, 1_000, 10_000, 65_000],
      (unacknowledged) => ({
        work: { kind: 'publish', qos: 1, payload: payloadBytes, held: unacknowledged },
        messages: 200_000,
      }),
    ),
    flat(
      'flat-subscriptions',
      'receive QoS 1, so many subscriptions',
      0.3,
      [1, 100, 10_000, 100_000],
      (subscriptions) => ({
        work: { kind: 'receive', qos: 1, payload: payloadBytes, subscriptions },
        messages: 200_000,
      }),
    ),
  ];
}

/** Whether a row was asked for: by its name, or by the first words of it. */
export function isNamed(name: string, asked: readonly string[]): boolean {
  return asked.length === 0 || asked.some((only) => name === only || name.startsWith(`${only}-`));
}

function entrant(
  client: ClientName,
  work: Work,
  messages: number,
  ofPeers: Readonly<Partial<Record<ClientName, number>>> = {},
  warmUp = ofPeers[client] ?? messages,
): Entrant {
  return { name: client, title: clientTitles[client], client, work, messages: ofPeers[client] ?? messages, warmUp };
}

function exchange(
  kind: 'publish' | 'receive',
  qos: QoS,
  payload: Payload,
  goals: readonly Goal[],
  mqttjsQos0?: { readonly name: string; readonly times: number },
): Scenario {
  const peers = { mqttjs: qos === 2 ? 50_000 : 100_000, libmosquitto: qos === 2 ? 50_000 : 100_000 };
  const work = { kind, qos, payload, ...(kind === 'publish' && { window: WINDOW }) } as Work;
  const entrants = (['ours', 'mqttjs', 'libmosquitto', 'limit'] as const).map((client) =>
    entrant(client, work, 800_000, peers),
  );
  if (mqttjsQos0 === undefined)
    return {
      name: `${kind}-qos${qos}`,
      title: `${kind} QoS ${qos}`,
      server: 'peer',
      metrics: [cpu(...goals)],
      entrants,
    };
  const { name, times } = mqttjsQos0;
  return {
    name: `${kind}-qos${qos}`,
    title: `${kind} QoS ${qos}`,
    server: 'peer',
    metrics: [cpu(...goals, { than: name, times, isStretch: true })],
    entrants: [
      ...entrants,
      { ...entrant('mqttjs', { kind, qos: 0, payload }, 100_000), name, title: 'MQTT.js at QoS 0' },
    ],
  };
}

function events(
  name: string,
  title: string,
  handlers: number,
  topics: number,
  builtin: number,
  times?: number,
): Scenario {
  const work = { kind: 'events', qos: 0, handlers, topics } as const;
  return {
    name,
    title,
    server: 'peer',
    metrics: [cpu(...(times === undefined ? [] : [{ than: 'builtin', times }]))],
    entrants: [
      entrant('ours', work, 300_000),
      entrant('builtin', work, builtin),
      { ...entrant('limit', work, 300_000), title: 'Nest without a transport' },
    ],
  };
}

function settled(name: string, title: string, settlement: Settlement): Entrant {
  return { ...entrant('ours', { kind: 'settlement', topics: 100, settlement }, 300_000), name, title };
}

function held(name: string, title: string, isLong: boolean, entrants: readonly Entrant[]): Scenario {
  const messages = isLong ? 1_000_000 : 100_000;
  return {
    name,
    title: `${isLong ? '1 000 000' : '100 000'} ${title}`,
    server: 'peer',
    metrics: [
      { key: 'bytes', unit: 'B heap each', goals: [{ most: 1_024 }] },
      { key: 'timers', unit: 'timers for all', goals: [{ most: 1 }] },
    ],
    entrants: entrants.map((each) => ({ ...each, messages, warmUp: 20_000 })),
  };
}

function requests(concurrency: number, p50Share: number): Scenario {
  const messages = concurrency === 1 ? 5_000 : 40_000;
  const work = { kind: 'requests', concurrency, qos: 0, by: 'send' } as const;
  const ours = entrant('ours', work, messages);
  return {
    name: `requests-${concurrency}`,
    title: `request and reply over Mosquitto, ${concurrency} at once`,
    server: 'mosquitto',
    metrics: [
      { key: 'p50Micros', unit: 'µs, p50', goals: [{ than: 'builtin', times: 1 / p50Share }] },
      cpu({ than: 'builtin', times: 2, isStretch: true }),
      { key: 'lost', unit: 'never answered', goals: [{ most: 0 }] },
    ],
    entrants: [
      ours,
      entrant('builtin', work, messages),
      { ...ours, name: 'ours-request', title: 'nestjs-rumqtt, request()', work: { ...work, by: 'request' } },
      {
        ...ours,
        name: 'ours-qos1',
        title: 'nestjs-rumqtt at QoS 1',
        work: { ...work, qos: 1 },
      },
      entrant('limit', work, messages),
    ],
  };
}

function delay(qos: QoS, payload: Payload, ours: number, mqttjs: number): Scenario {
  return {
    name: `delay-qos${qos}`,
    title: `event loop delay, QoS ${qos} in and QoS 1 out at full rate`,
    server: 'peer',
    metrics: [
      { key: 'p99Ms', unit: 'ms, p99', goals: [{ most: 10 }, { most: 5, isStretch: true }] },
      { key: 'incoming', unit: 'messages in for each out', goals: [] },
    ],
    entrants: (['ours', 'mqttjs'] as const).map((client) =>
      entrant(client, { kind: 'delay', qos, payload }, ours, { mqttjs }),
    ),
  };
}

function promisesAlone(sizes: readonly number[]): Scenario {
  const work = { kind: 'publish', by: 'promise', qos: 1, payload: 16 } as const;
  return {
    name: 'flat-promises',
    title: 'a promise alone, so many in flight',
    server: 'peer',
    metrics: [cpu()],
    entrants: sizes.map((window) => ({
      name: `limit-${window}`,
      title: titleOf(window),
      client: 'limit',
      work: { ...work, window },
      messages: 1_000_000,
      warmUp: 200_000,
    })),
  };
}

function flat(
  name: string,
  title: string,
  flatWithin: number,
  sizes: readonly number[],
  of: (size: number) => { readonly work: Work; readonly messages: number },
  except: readonly number[] = [],
): Scenario {
  return {
    name,
    title,
    server: 'peer',
    metrics: [cpu({ flatWithin, except: except.map((size) => `ours-${size}`) })],
    entrants: sizes.map((size) => {
      const { work, messages } = of(size);
      return {
        name: `ours-${size}`,
        title: titleOf(size),
        client: 'ours',
        work,
        messages,
        warmUp: 200_000,
      };
    }),
  };
}

function titleOf(size: number): string {
  return size.toLocaleString('en').replaceAll(',', ' ');
}
