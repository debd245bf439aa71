import type {
  Action,
  BrokerConfig,
  BrokerLimits,
  ClientOptions,
  HandlerConfig,
  Program,
  QoS,
  Step,
  Weather,
} from './program.js';
import { Random } from './random.js';

const LARGEST_MESSAGE_BYTES = 300;
/** What a message costs beside its payload. */
const MESSAGE_BYTES = 512;
const LARGER_THAN_A_SMALL_QUEUE_BYTES = 1_100;
const LONGER_THAN_A_RUN_MS = 100_000_000;
export const TOPICS = ['in/0', 'in/1', 'in/2'];
const FILTERS = [...TOPICS, 'in/+', 'refused/0'];

/** The program of a seed. */
export function generateProgram(seed: string): Program {
  const random = new Random(`program/${seed}`);
  const version = random.weighted({ 4: 45, 5: 45, auto: 10 });
  const protocolVersion = version === 'auto' ? ('auto' as const) : version === '5' ? (5 as const) : (4 as const);
  const options = { protocolVersion, ...generateOptions(random.stream('options')) };
  return {
    seed,
    options,
    weather: generateWeather(random.stream('weather')),
    broker: boundedBroker(generateBroker(random.stream('broker'), protocolVersion === 'auto'), options),
    handlers: generateHandlers(random.stream('handlers')),
    credentialsLastMs: random.stream('credentials').pick([undefined, undefined, undefined, 15_000, 60_000]),
    steps: generateSteps(random.stream('steps')),
  };
}

function generateOptions(random: Random): Omit<ClientOptions, 'protocolVersion'> {
  const session = random.weighted({ kept: 70, none: 15, 'clean start': 15 });
  return {
    url: 'mqtt://broker:1883',
    clientId: 'client',
    clean: session !== 'kept',
    ...(session === 'clean start' ? { sessionExpirySeconds: 3_600 } : {}),
    keepAliveSeconds: random.pick([0, 2, 5, 10]),
    connectTimeoutMs: random.pick([1_000, 5_000]),
    inflight: random.pick([1, 2, 3, 5, 20]),
    requestCapacity: random.pick([2, 5, 20, 1_000]),
    requestCapacityBytes: random.pick([1_024, 100_000, 100_000]),
    overflow: random.weighted({ wait: 55, reject: 15, 'drop-oldest': 15, 'drop-newest': 15 }),
    maxWaiters: random.pick([0, 3, 10_000]),
    ...generateThrottle(random),
    incomingCapacity: random.pick([1, 3, 1_000]),
    incomingCapacityBytes: random.pick([1_024, 100_000]),
    incomingOverflow: random.pick(['backpressure', 'backpressure', 'drop-newest'] as const),
    receiveMaximum: random.pick([1, 2, 5, 50]),
    acknowledge: random.weighted({ 'after-handler': 60, manual: 25, 'on-receive': 15 }),
    reconnect: {
      policy: random.weighted({ always: 50, 'after-first-success': 46, never: 4 }),
      minDelayMs: random.pick([50, 200, 1_000]),
      maxDelayMs: random.pick([1_000, 4_000, 20_000]),
      factor: random.pick([1.5, 2, 3]),
      jitter: random.pick(['full', 'none'] as const),
      stableAfterMs: random.pick([0, 500, 5_000]),
    },
  };
}

function generateThrottle(random: Random): Pick<ClientOptions, 'throttle'> {
  if (random.chance(0.55)) return {};
  const bytesPerSecond = random.chance(0.3) ? random.pick([200, 2_000]) : undefined;
  return {
    throttle: {
      messagesPerSecond: random.pick([1, 2, 2.5, 10, 50]),
      burst: random.pick([1, 1, 3]),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    },
  };
}

function generateWeather(random: Random): Weather {
  return {
    delayMs: random.pick([
      [0, 0],
      [0, 2],
      [1, 30],
      [5, 200],
    ] as const),
    splitChance: random.pick([0, 0.2, 0.8]),
    sendBufferBytes: random.pick([60, 60, 500, 1_000_000]),
    slowWriteChance: random.pick([0, 0.3]),
  };
}

function generateBroker(random: Random, auto: boolean): BrokerConfig {
  return {
    latencyMs: random.pick([
      [0, 0],
      [0, 10],
      [5, 150],
    ] as const),
    limits: random.chance(0.3) ? generateLimits(random) : {},
    window311: random.pick([1, 5, 20]),
    only311: auto && random.chance(0.5),
  };
}

/**
 * MQTT 3.1.1 has no Receive Maximum. A broker that sends more than the client can hold while the client has to read on (it waits
 * for an answer) is disconnected, again and again: a configuration that cannot work, and says so.
 */
function boundedBroker(broker: BrokerConfig, options: ClientOptions): BrokerConfig {
  const { receiveMaximum, incomingCapacityBytes } = options;
  const most = Math.max(receiveMaximum, Math.floor(incomingCapacityBytes / (LARGEST_MESSAGE_BYTES + MESSAGE_BYTES)));
  return { ...broker, window311: Math.min(broker.window311, most) };
}

function generateLimits(random: Random): BrokerLimits {
  return {
    ...(random.chance(0.6) ? { receiveMaximum: random.pick([1, 2, 5]) } : {}),
    ...(random.chance(0.25) ? { maximumQoS: random.pick([0, 1] as const) } : {}),
    ...(random.chance(0.25) ? { maximumPacketSize: 200 } : {}),
    ...(random.chance(0.25) ? { retainAvailable: false } : {}),
    ...(random.chance(0.3) ? { topicAliasMaximum: 1 } : {}),
  };
}

function generateHandlers(random: Random): HandlerConfig {
  return {
    takesMs: random.pick([
      [0, 0],
      [0, 20],
      [0, 1_500],
      [500, 5_000],
    ] as const),
    synchronous: random.pick([0, 0, 0.5, 1]),
    fails: random.pick([0, 0, 0.2]),
    replies: random.pick([0, 0, 0.3]),
    consumer: random.pick(['handler', 'handler', 'handler', 'iterator'] as const),
  };
}

function generateSteps(random: Random): Step[] {
  const count = random.integer(8, 45);
  const trouble = random.pick([0.05, 0.15, 0.3]);
  const gapMs = random.pick([5, 60, 400]);
  const steps: Step[] = [{ number: 0, atMs: 0, do: 'subscribe', filters: ['in/0', 'in/1'], qos: random.pick([1, 2]) }];
  let atMs = 0;
  for (let number = 1; number <= count; number++) {
    atMs += random.weighted({ none: 25, short: 65, long: 10 }) === 'none' ? 0 : random.between([0, gapMs]);
    if (random.chance(0.06)) atMs += random.between([500, 6_000]);
    steps.push({ number, atMs, ...(random.chance(trouble) ? accident(random) : request(random)) });
  }
  if (random.chance(0.25))
    steps.push({ number: count + 1, atMs: atMs + random.between([0, 500]), ...shutdown(random) });
  return steps;
}

const qos = (random: Random): QoS => random.pick([0, 1, 1, 2, 2] as const);

function request(random: Random): Action {
  switch (
    random.weighted({ publish: 60, deliver: 22, subscribe: 6, unsubscribe: 3, pause: 3, resume: 4, reconnect: 2 })
  ) {
    case 'publish':
      return {
        do: 'publish',
        qos: qos(random),
        bytes: random.chance(0.04) ? LARGER_THAN_A_SMALL_QUEUE_BYTES : random.pick([8, 8, 40, 300]),
        count: random.pick([1, 1, 1, 2, 6]),
        via: random.pick(['publish', 'publish', 'enqueue', 'tryEnqueue'] as const),
        ...(random.chance(0.1) ? { timeoutMs: random.pick([1, 100, 2_000, LONGER_THAN_A_RUN_MS]) } : {}),
        ...(random.chance(0.1) ? { abortAfterMs: random.pick([0, 1, 100, 2_000, LONGER_THAN_A_RUN_MS]) } : {}),
        ...(random.chance(0.15) ? { retain: true as const } : {}),
        ...(random.chance(0.08) ? { refused: true as const } : {}),
        ...(random.chance(0.08) ? { andThen: random.pick(['pause', 'reconnect', 'reset', 'reset'] as const) } : {}),
      };
    case 'deliver':
      return {
        do: 'deliver',
        topic: random.pick(TOPICS),
        qos: qos(random),
        bytes: random.pick([8, 300]),
        count: random.pick([1, 1, 3, 8]),
      };
    case 'subscribe': {
      const filters = [...new Set([random.pick(FILTERS), random.pick(FILTERS)])];
      return { do: 'subscribe', filters, qos: qos(random), ...(random.chance(0.1) ? { timeoutMs: 50 } : {}) };
    }
    case 'unsubscribe':
      return { do: 'unsubscribe', filters: [random.pick(FILTERS)] };
    case 'pause':
      return { do: 'pause' };
    case 'resume':
      return { do: 'resume' };
    case 'reconnect':
      return { do: 'reconnect', ...(random.chance(0.3) ? generateThrottle(random) : {}) };
  }
}

function accident(random: Random): Action {
  const kind = random.weighted({
    cut: 45,
    'half-open': 8,
    freeze: 24,
    restart: 16,
    limits: 6,
    kick: 8,
    refuse: 5,
    stray: 5,
  });
  switch (kind) {
    case 'cut':
      return {
        do: 'cut',
        direction: random.pick(['up', 'down'] as const),
        afterBytes: random.pick([0, 1, 2, 3, 4, 5, 8, 30, 100, 400]),
        how: random.pick(['reset', 'fin'] as const),
      };
    case 'half-open':
      return { do: 'half-open' };
    case 'freeze':
      return { do: 'freeze', forMs: random.pick([20, 500, 4_000, 4_000]) };
    case 'restart':
      return {
        do: 'restart',
        keepSessions: random.chance(0.5),
        downMs: random.pick([0, 100, 3_000]),
        dials: random.pick(['refuses', 'refuses', 'hangs'] as const),
      };
    case 'limits':
      return { do: 'limits', limits: generateLimits(random) };
    case 'kick':
      // Server busy, keep alive timeout, session taken over, administrative action.
      return { do: 'kick', reasonCode: random.pick([0x89, 0x8d, 0x8e, 0x98]) };
    case 'refuse':
      // Server unavailable, server busy, not authorized.
      return { do: 'refuse', times: random.integer(1, 4), reasonCode: random.pick([0x88, 0x89, 0x87]) };
    case 'stray':
      return { do: 'stray', cmd: random.pick(['puback', 'pubrec', 'pubcomp', 'pubrel'] as const) };
  }
}

function shutdown(random: Random): Action {
  return {
    do: 'shutdown',
    drainTimeoutMs: random.pick([0, 100, 5_000, 60_000]),
    publishWill: random.chance(0.1),
  };
}
