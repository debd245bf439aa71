import { expectTypeOf } from 'vitest';
import {
  type MqttClient,
  type MqttCodec,
  type MqttDecodeError,
  MqttEvent,
  type MqttModuleOptions,
  type MqttServer,
  type MqttUndecodableAction,
} from 'nestjs-rumqtt';

declare const client: MqttClient;
declare const server: MqttServer;

const own: MqttCodec = {
  contentType: 'application/x-own',
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes: Uint8Array) => bytes.length,
};

export const options: MqttModuleOptions = {
  codec: 'cbor',
  contentTypeCodecs: ['json', own],
  onUndecodable: async (message, error): Promise<MqttUndecodableAction> => {
    expectTypeOf(message.topic).toEqualTypeOf<string>();
    expectTypeOf(error).toEqualTypeOf<MqttDecodeError>();
    return 'dead-letter';
  },
};

// @ts-expect-error no such codec
export const wrongCodec: MqttModuleOptions = { codec: 'yaml' };
// @ts-expect-error no such action
export const wrongAction: MqttModuleOptions = { onUndecodable: () => 'burn' };
// @ts-expect-error text is not bytes
export const wrongResult: MqttCodec = { encode: () => 'text', decode: () => 1 };

MqttEvent('a/+b', { codec: own, onUndecodable: 'reject' });

export async function calls(): Promise<void> {
  await client.publish('a', 1, { codec: 'msgpack', qos: 1 });
  await client.enqueue('a', 1, { codec: own });
  await client.request('a', 1, { codec: 'raw' });
  server.on('undecodable', ({ message, error }) => {
    expectTypeOf(message.payload).toEqualTypeOf<Buffer>();
    expectTypeOf(error.codec).toEqualTypeOf<string>();
  });
  expectTypeOf(server.stats().undecodable).toEqualTypeOf<number>();
}

export const presence: MqttModuleOptions = { presence: { topic: 'a', online: { up: true }, delaySeconds: 5 } };
// @ts-expect-error presence is retained
export const wrongPresence: MqttModuleOptions = { presence: { topic: 'a', retain: false } };
