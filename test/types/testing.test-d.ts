import type { InjectionToken } from '@nestjs/common';
import { getMqttRuntimeToken, type EventLoopRuntime, type MqttServer } from 'nestjs-rumqtt';
import {
  MemoryBroker,
  MqttTestHarness,
  VirtualClock,
  type MemoryDelivery,
  type PublishedMessage,
  type TestDelivery,
  type TestOutcome,
  type TestReply,
} from 'nestjs-rumqtt/testing';
import { expectTypeOf } from 'vitest';

declare const server: MqttServer;
const broker = new MemoryBroker({ clock: new VirtualClock(), protocolVersion: 4, random: Math.random, guardMs: 10 });
const harness = new MqttTestHarness(broker, server, { guardMs: 10 });

expectTypeOf(getMqttRuntimeToken('factory')).toEqualTypeOf<InjectionToken<EventLoopRuntime>>();
expectTypeOf(broker.runtime).toEqualTypeOf<EventLoopRuntime>();
expectTypeOf(broker.published).toEqualTypeOf<readonly PublishedMessage[]>();
expectTypeOf(broker.nextPublish()).resolves.toEqualTypeOf<PublishedMessage>();
expectTypeOf(broker.assertPublished('a', { data: 1, qos: 1, retain: true })).toEqualTypeOf<PublishedMessage>();
expectTypeOf(broker.publish('a', { any: 'data' }, { qos: 2 })).toEqualTypeOf<MemoryDelivery[]>();
expectTypeOf<PublishedMessage['data']>().toBeUnknown();

expectTypeOf(harness.deliver('a')).resolves.toEqualTypeOf<TestDelivery>();
expectTypeOf<TestDelivery['outcome']>().toEqualTypeOf<TestOutcome>();
expectTypeOf(harness.request('a', [1], { qos: 0 })).resolves.toEqualTypeOf<TestReply>();

// @ts-expect-error MQTT 3.1 is not spoken
void new MemoryBroker({ protocolVersion: 3 });
// @ts-expect-error a payload is compared by its data
broker.assertPublished('a', { payload: 'x' });
// @ts-expect-error the server of the application is needed
void new MqttTestHarness(broker);
