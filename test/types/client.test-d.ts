import type { ClientProxy, ClientsModule } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { expectTypeOf } from 'vitest';
import {
  EventLoop,
  type Delivery,
  type EventLoopStatus,
  MqttClient,
  type MqttPattern,
  type PublishResult,
} from 'nestjs-rumqtt';

const client = new MqttClient({ url: 'mqtt://localhost' });

expectTypeOf(client).toExtend<ClientProxy>();
expectTypeOf(client.status).toEqualTypeOf<Observable<EventLoopStatus>>();
expectTypeOf(client.unwrap()).toEqualTypeOf<EventLoop>();

expectTypeOf(client.publish('t')).toEqualTypeOf<Promise<PublishResult>>();
expectTypeOf(client.publish('t', { any: 'thing' }, { qos: 1, retain: true })).toEqualTypeOf<Promise<PublishResult>>();
expectTypeOf(client.enqueue('t', Buffer.alloc(1))).toEqualTypeOf<Promise<Delivery>>();
expectTypeOf(client.request('t', 1)).toEqualTypeOf<Promise<unknown>>();
expectTypeOf(client.request<number>({ cmd: 'sum' }, [1], { timeoutMs: 5, envelope: 'none' })).toEqualTypeOf<
  Promise<number>
>();
expectTypeOf(client.send<number>('t', 1)).toEqualTypeOf<Observable<number>>();
expectTypeOf(client.emit('t', 1)).toEqualTypeOf<Observable<unknown>>();

client.on('disconnected', ({ cause, willRetryInMs }) => {
  expectTypeOf(cause).toExtend<Error>();
  expectTypeOf(willRetryInMs).toEqualTypeOf<number | undefined>();
});
expectTypeOf(client.on('connected', () => undefined)).toEqualTypeOf<() => void>();

// @ts-expect-error no such event
client.on('message', () => undefined);
// @ts-expect-error no such QoS
void client.publish('t', 1, { qos: 3 });
// @ts-expect-error a symbol is no pattern
void client.request(Symbol('t'), 1);
// @ts-expect-error no such option
void new MqttClient({ urls: [] });

expectTypeOf<{ cmd: string; nested: { deep: number } }>().toExtend<MqttPattern>();

// As ClientsModule takes it.
({ name: 'X', customClass: MqttClient, options: { url: 'mqtt://localhost' } }) satisfies Parameters<
  typeof ClientsModule.register
>[0] extends infer T
  ? T extends readonly (infer Item)[]
    ? Item
    : never
  : never;
