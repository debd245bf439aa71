import {
  Inject,
  Module,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type Provider,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { MqttOptionsError } from './eventloop/errors.js';
import type { EventLoopRuntime } from './eventloop/runtime.js';
import type {
  MqttModuleAsyncOptions,
  MqttModuleExtras,
  MqttModuleOptions,
  MqttOptionsFactory,
} from './interfaces/module-options.interface.js';
import { afterBootstrap } from './mqtt.bootstrap.js';
import { MqttClient } from './mqtt.client.js';
import { MqttConnection } from './mqtt.connection.js';
import { defaultName, MQTT_CLIENT, MQTT_CONNECTION, MQTT_MODULE_OPTIONS } from './mqtt.constants.js';
import { MqttServer } from './mqtt.server.js';
import { getMqttClientToken, getMqttEventLoopToken, getMqttRuntimeToken, getMqttServerToken } from './mqtt.tokens.js';

/**
 * One registration is one event loop, one connection to a broker, shared by a server and a client.
 *
 * The connection is made at application bootstrap at the latest; `reconnect.policy` decides whether the application starts
 * without the broker (`always`) or fails (the others). Handlers receive messages from the end of the bootstrap to the
 * beginning of the shutdown; resources that handlers use are best closed in `onApplicationShutdown`.
 *
 * @publicApi
 */
@Module({})
export class MqttModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #connection: MqttConnection;
  readonly #client: MqttClient;
  readonly #modules: ModulesContainer;
  readonly #release: () => Promise<void>;

  /** @internal */
  constructor(
    @Inject(MQTT_CONNECTION) connection: MqttConnection,
    @Inject(MQTT_CLIENT) client: MqttClient,
    @Inject(ModulesContainer) modules: ModulesContainer,
  ) {
    this.#connection = connection;
    this.#client = client;
    this.#modules = modules;
    this.#release = connection.claim();
  }

  /**
   * @param options - of the event loop, the server and the client
   * @throws MqttOptionsError when the application is created
   */
  static register(options: MqttModuleOptions & MqttModuleExtras = {}): DynamicModule {
    const { name, isGlobal, ...rest } = options;
    return define({ name, isGlobal }, [{ provide: MQTT_MODULE_OPTIONS, useValue: rest }]);
  }

  /** As `register`, with options that come from other providers. */
  static registerAsync(options: MqttModuleAsyncOptions): DynamicModule {
    return { ...define(options, optionsProviders(options)), imports: options.imports ?? [] };
  }

  /** @internal */
  async onApplicationBootstrap(): Promise<void> {
    await this.#connection.start();
    await afterBootstrap(this.#modules, this, () => this.#connection.openDelivery());
  }

  /** @internal */
  onModuleDestroy(): void {
    this.#connection.pauseIntake();
  }

  /** @internal */
  async onApplicationShutdown(): Promise<void> {
    await this.#client.close();
    await this.#release();
  }
}

function define({ name = defaultName, isGlobal = false }: MqttModuleExtras, options: Provider[]): DynamicModule {
  const exported: Provider[] = [
    {
      provide: getMqttEventLoopToken(name),
      useFactory: (connection: MqttConnection) => connection.loop,
      inject: [MQTT_CONNECTION],
    },
    {
      provide: getMqttServerToken(name),
      useFactory: (connection: MqttConnection) => new MqttServer(connection),
      inject: [MQTT_CONNECTION],
    },
    {
      provide: getMqttClientToken(name),
      useFactory: (connection: MqttConnection) => new MqttClient(connection),
      inject: [MQTT_CONNECTION],
    },
  ];
  return {
    module: MqttModule,
    global: isGlobal,
    providers: [
      ...options,
      {
        provide: MQTT_CONNECTION,
        useFactory: (given: MqttModuleOptions, runtime: EventLoopRuntime) =>
          new MqttConnection({ ...given, name }, true, runtime),
        inject: [MQTT_MODULE_OPTIONS, getMqttRuntimeToken(name)],
      },
      { provide: getMqttRuntimeToken(name), useValue: {} satisfies EventLoopRuntime },
      { provide: MQTT_CLIENT, useExisting: getMqttClientToken(name) },
      ...exported,
    ],
    exports: [getMqttEventLoopToken(name), getMqttServerToken(name), getMqttClientToken(name)],
  };
}

function optionsProviders(options: MqttModuleAsyncOptions): Provider[] {
  const { useFactory, useClass, useExisting, inject = [] } = options;
  if ([useFactory, useClass, useExisting].filter((source) => source !== undefined).length !== 1) {
    throw new MqttOptionsError([
      {
        option: 'registerAsync',
        value: 'given none or several of useFactory, useClass and useExisting',
        expected: 'exactly one of them',
      },
    ]);
  }
  if (useFactory !== undefined) return [{ provide: MQTT_MODULE_OPTIONS, useFactory: useFactory as never, inject }];
  const create = (factory: MqttOptionsFactory): MqttModuleOptions | Promise<MqttModuleOptions> =>
    factory.createMqttOptions();
  if (useClass !== undefined) {
    return [
      { provide: useClass, useClass },
      { provide: MQTT_MODULE_OPTIONS, useFactory: create, inject: [useClass] },
    ];
  }
  return [{ provide: MQTT_MODULE_OPTIONS, useFactory: create, inject: [useExisting!] }];
}
