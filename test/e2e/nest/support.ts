import {
  Module,
  type INestMicroservice,
  type LoggerService,
  type ModuleMetadata,
  type NestApplicationOptions,
  type Provider,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient as Device } from 'mqtt';
import { MqttClient, MqttModule, MqttServer, type MqttModuleOptions } from 'nestjs-rumqtt';
import { afterAll, beforeAll, describe, expect, vi } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';

/** What a suite is told about the broker it runs against. */
export interface TestBroker {
  readonly url: string;
  readonly protocolVersion: 4 | 5;
  /** Whether the broker sends a message once for each subscription that matches it, or once for all. */
  readonly copies: 'per-subscription' | 'one';
}

/** Registers a suite for each broker and each protocol version that it speaks. */
export function onEveryBroker(suite: (broker: TestBroker) => void): void {
  describe('MQTT 3.1.1, aedes', () => {
    suite(startedBroker(() => AedesBroker.start(), 4, 'one'));
  });
  onMosquitto(suite);
}

/** As `onEveryBroker`, without aedes. */
export function onMosquitto(suite: (broker: TestBroker) => void): void {
  describeWithMosquitto('MQTT 5, Mosquitto', () => {
    suite(startedBroker(() => Mosquitto.start(), 5, 'per-subscription'));
  });
  describeWithMosquitto('MQTT 3.1.1, Mosquitto that copies', () => {
    suite(startedBroker(() => Mosquitto.start({ config: ['allow_duplicate_messages true'] }), 4, 'per-subscription'));
  });
}

/** Registers a suite that needs MQTT 5. */
export function onMqtt5(suite: (broker: TestBroker) => void): void {
  describeWithMosquitto('MQTT 5, Mosquitto', () =>
    suite(startedBroker(() => Mosquitto.start(), 5, 'per-subscription')),
  );
}

function startedBroker(
  start: () => Promise<{ url: string } & AsyncDisposable>,
  protocolVersion: 4 | 5,
  copies: TestBroker['copies'],
): TestBroker {
  let broker: ({ url: string } & AsyncDisposable) | undefined;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(async () => broker?.[Symbol.asyncDispose]());
  return {
    get url() {
      return broker!.url;
    },
    protocolVersion,
    copies,
  };
}

/** A running application; closed when its scope ends. */
export interface TestApp extends AsyncDisposable {
  readonly app: INestMicroservice;
  readonly server: MqttServer;
  readonly client: MqttClient;
  readonly log: TestLog;
}

export interface TestAppSetup {
  readonly controllers?: Type[];
  readonly providers?: Provider[];
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
  readonly instrument?: NestApplicationOptions['instrument'] | undefined;
  readonly options?: MqttModuleOptions;
  /** Between creation and `listen`. */
  readonly configure?: (app: INestMicroservice) => void;
}

/** Starts `NestFactory.createMicroservice` with our module and its server as the strategy. */
export async function startMicroservice(broker: TestBroker, setup: TestAppSetup = {}): Promise<TestApp> {
  const log = new TestLog();
  const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(testModule(broker, setup), {
    inject: [MqttServer],
    useFactory: (server: MqttServer) => ({ strategy: server }),
    logger: log,
    abortOnError: false,
    ...(setup.instrument && { instrument: setup.instrument }),
  });
  setup.configure?.(app);
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return {
    app,
    server: app.get(MqttServer),
    client: app.get(MqttClient),
    log,
    [Symbol.asyncDispose]: () => app.close(),
  };
}

export function testModule(
  broker: TestBroker,
  { controllers = [], providers = [], imports = [], options = {} }: TestAppSetup,
): Type {
  @Module({ imports: [...imports, MqttModule.register(optionsFor(broker, options))], controllers, providers })
  class TestModule {}
  return TestModule;
}

export function optionsFor(broker: TestBroker, options: MqttModuleOptions = {}): MqttModuleOptions {
  return {
    url: broker.url,
    protocolVersion: broker.protocolVersion,
    drainTimeoutMs: 2_000,
    reconnect: { minDelayMs: 10, maxDelayMs: 200 },
    ...options,
  };
}

/** What Nest logs, for looking at instead of printing. */
export class TestLog implements LoggerService {
  readonly lines: { readonly level: string; readonly text: string; readonly context: string }[] = [];

  log(message: unknown, ...context: unknown[]): void {
    this.#add('log', message, context);
  }

  warn(message: unknown, ...context: unknown[]): void {
    this.#add('warn', message, context);
  }

  error(message: unknown, ...context: unknown[]): void {
    this.#add('error', message, context);
  }

  of(level: 'log' | 'warn' | 'error', context?: string): string[] {
    return this.lines
      .filter((line) => line.level === level && (context === undefined || line.context === context))
      .map((line) => line.text);
  }

  #add(level: string, message: unknown, context: unknown[]): void {
    this.lines.push({ level, text: String(message), context: context.at(-1) as string });
  }
}

/** A peer that is not ours: MQTT.js. */
export class TestDevice implements AsyncDisposable {
  readonly received: IPublishPacket[] = [];

  private constructor(readonly mqtt: Device) {
    mqtt.on('message', (_topic, _payload, packet) => this.received.push(packet));
  }

  static async connect(broker: TestBroker, options: IClientOptions = {}): Promise<TestDevice> {
    return new TestDevice(await connectAsync(broker.url, { protocolVersion: broker.protocolVersion, ...options }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mqtt.endAsync(true);
  }
}

/** Waits until something holds. */
export async function eventually(check: () => unknown): Promise<void> {
  await vi.waitFor(check, { timeout: 15_000, interval: 5 });
}

export async function expectEventually(actual: () => unknown, expected: unknown): Promise<void> {
  await eventually(() => expect(actual()).toEqual(expected));
}

/** Resolves or stays open on demand, for handlers that a test holds up. */
export class Latch {
  #open!: () => void;
  readonly opened = new Promise<void>((resolve) => (this.#open = resolve));

  open(): void {
    this.#open();
  }
}
