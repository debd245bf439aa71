import { readFileSync } from 'node:fs';
import { AedesBroker } from '../fixtures/aedes.js';
import { Mosquitto, mosquittoAvailable } from '../fixtures/mosquitto.js';
import { findNats, Nats } from '../fixtures/nats.js';
import { findRabbitMq, RabbitMq } from '../fixtures/rabbitmq.js';
import type { Stated } from './features.js';

/** A running broker. */
export interface RunningBroker extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly version: string;
  /** Ends it as a power cut would, and starts it again with what it has on disk. */
  crash(): Promise<void>;
}

/** A broker, and what is stated of it in docs/brokers.md. */
export interface Broker {
  readonly name: string;
  /** What was installed when the table was written: Debian 12's, and aedes from npm. */
  readonly version: string;
  readonly installed: boolean;
  /** For whom it is missing. */
  readonly install: string;
  /** What to ask for where `auto` does not do. */
  readonly protocolVersion: 'auto' | 4;
  start(): Promise<RunningBroker>;
  readonly stated: Stated;
}

// Its exports hide it from an import.
const aedesPackage = new URL('../../node_modules/aedes/package.json', import.meta.url);
const aedesVersion = (JSON.parse(readFileSync(aedesPackage, 'utf8')) as { version: string }).version;

const mosquitto: Broker = {
  name: 'Mosquitto',
  version: '2.0',
  installed: mosquittoAvailable(),
  install: 'apt-get install mosquitto',
  protocolVersion: 'auto',
  start: async () => {
    const broker = await Mosquitto.start({ persistence: 'on-exit', config: ['log_type information'] });
    return crashing(broker, versionIn(broker.log), async () => {
      await broker.kill('SIGKILL');
      await broker.restart();
    });
  },
  stated: {
    version: 'five',
    subscribeQos: 'two',
    publishQos2: 'once',
    retained: 'yes',
    retainedWildcards: 'yes',
    wildcards: 'yes',
    dots: 'yes',
    dollar: 'hidden',
    overlap: 'eachOnFive',
    shared: 'yes',
    session: 'qos1',
    will: 'yes',
    bytes: 'yes',
    order: 'yes',
    window: 'receiveMaximum',
    takeover: 'yes',
    redelivery: 'reconnect',
    redeliveryToHandlers: 'yes',
    requests: 'yes',
    crash: 'lost',
  },
};

const aedes: Broker = {
  name: 'aedes',
  version: '1',
  installed: true,
  install: 'npm ci',
  protocolVersion: 'auto',
  start: async () => {
    const broker = await AedesBroker.start();
    return crashing(broker, aedesVersion, () => broker.restart({ keep: false }));
  },
  stated: {
    version: 'refusesFive',
    subscribeQos: 'two',
    publishQos2: 'once',
    retained: 'yes',
    retainedWildcards: 'yes',
    wildcards: 'yes',
    dots: 'yes',
    dollar: 'hidden',
    overlap: 'one',
    shared: 'silent',
    session: 'qos1',
    will: 'yes',
    bytes: 'yes',
    order: 'yes',
    window: 'unlimited',
    takeover: 'yes',
    redelivery: 'reconnect',
    redeliveryToHandlers: 'yes',
    requests: 'yes',
    crash: 'lost',
  },
};

const nats: Broker = {
  name: 'NATS',
  version: '2.9',
  installed: findNats() !== undefined,
  install: 'apt-get install nats-server',
  protocolVersion: 'auto',
  start: async () => {
    const broker = await Nats.start();
    return crashing(broker, versionIn(broker.log), async () => {
      await broker.kill('SIGKILL');
      await broker.launch();
    });
  },
  stated: {
    version: 'refusesFive',
    subscribeQos: 'one',
    publishQos2: 'closes',
    retained: 'yes',
    retainedWildcards: 'yes',
    wildcards: 'yes',
    dots: 'refused',
    dollar: 'shown',
    overlap: 'each',
    shared: 'silent',
    session: 'qos1',
    will: 'yes',
    bytes: 'yes',
    order: 'yes',
    window: 'thousand',
    takeover: 'yes',
    redelivery: 'ackWait',
    redeliveryToHandlers: 'ackWait',
    requests: 'yes',
    crash: 'kept',
  },
};

const rabbitMq: Broker = {
  name: 'RabbitMQ',
  version: '3.10',
  installed: findRabbitMq() !== undefined,
  install: 'apt-get install rabbitmq-server',
  protocolVersion: 4,
  start: async () => {
    const broker = await RabbitMq.start();
    return crashing(broker, versionIn(broker.log), async () => {
      await broker.kill('SIGKILL');
      await broker.launch();
    });
  },
  stated: {
    version: 'closesOnFive',
    subscribeQos: 'one',
    publishQos2: 'puback',
    retained: 'yes',
    retainedWildcards: 'no',
    wildcards: 'yes',
    dots: 'slash',
    dollar: 'hidden',
    overlap: 'one',
    shared: 'silent',
    session: 'qos0and1',
    will: 'yes',
    bytes: 'yes',
    order: 'yes',
    window: 'ten',
    takeover: 'yes',
    redelivery: 'reconnect',
    redeliveryToHandlers: 'yes',
    requests: 'yes',
    crash: 'retainedLost',
  },
};

export const brokers: readonly Broker[] = [mosquitto, aedes, nats, rabbitMq];

/** Throws when one is missing and MQTT_REQUIRE_BROKERS=1 says that it must not be. */
export function assertInstalled({ name, installed, install }: Broker): void {
  if (!installed && process.env['MQTT_REQUIRE_BROKERS'] === '1') {
    throw new Error(`MQTT_REQUIRE_BROKERS=1, but ${name} is not installed: ${install}`);
  }
}

/** The first thing a broker writes of itself. */
function versionIn(log: string): string {
  return /\b(?:mosquitto version|Version:|RabbitMQ) +(\d[\d.]*)/.exec(log)?.[1] ?? 'unknown';
}

function crashing(
  broker: AsyncDisposable & { readonly url: string; readonly port: number },
  version: string,
  crash: () => Promise<void>,
): RunningBroker {
  return {
    url: broker.url,
    port: broker.port,
    version,
    crash,
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  };
}
