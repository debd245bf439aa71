import type { ModuleMetadata } from '@nestjs/common';
import {
  ClientsModule,
  Transport,
  type AsyncMicroserviceOptions,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { MqttClient, MqttModule, MqttServer } from 'nestjs-rumqtt';

/** The token that services inject their `ClientProxy` by, whichever transport it belongs to. */
export const MQTT = 'MQTT';

/** All that differs between a service before and after the move. */
export interface ServiceTransport {
  readonly name: string;
  readonly module: Required<Pick<ModuleMetadata, 'imports' | 'providers'>>;
  readonly microservice: MicroserviceOptions | AsyncMicroserviceOptions;
}

export function builtIn(url: string): ServiceTransport {
  return {
    name: 'built-in',
    module: {
      imports: [ClientsModule.register([{ name: MQTT, transport: Transport.MQTT, options: { url } }])],
      providers: [],
    },
    microservice: { transport: Transport.MQTT, options: { url, subscribeOptions: { qos: 1 } } },
  };
}

export function rumqtt(url: string): ServiceTransport {
  return {
    name: 'nestjs-rumqtt',
    module: {
      imports: [MqttModule.register({ url })],
      providers: [{ provide: MQTT, useExisting: MqttClient }],
    },
    microservice: { inject: [MqttServer], useFactory: (strategy: MqttServer) => ({ strategy }) },
  };
}
