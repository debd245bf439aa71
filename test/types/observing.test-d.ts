import { expectTypeOf } from 'vitest';
import {
  MqttModule,
  type EventLoopDiagnostic,
  type MqttClient,
  type MqttHandlerDescription,
  type MqttHandlerStats,
  type MqttServer,
  type MqttTracing,
} from 'nestjs-rumqtt';
import { openTelemetry } from 'nestjs-rumqtt/opentelemetry';
import { registerMqttMetrics } from 'nestjs-rumqtt/prometheus';
import type { MqttHealthIndicator } from 'nestjs-rumqtt/terminus';

declare const server: MqttServer;
declare const client: MqttClient;
declare const health: MqttHealthIndicator;

expectTypeOf(openTelemetry()).toEqualTypeOf<MqttTracing>();
MqttModule.register({ tracing: openTelemetry({}) });
// @ts-expect-error it has to be called
MqttModule.register({ tracing: openTelemetry });

expectTypeOf(registerMqttMetrics({ server, client })).toEqualTypeOf<() => void>();
registerMqttMetrics([{ server }, { name: 'factory', client }], { prefix: 'app_', handlerDurations: [0.1, 1] });
// @ts-expect-error no such option
registerMqttMetrics({ server }, { labels: ['topic'] });

expectTypeOf(health.check('mqtt').mqtt.status).toExtend<string>();
health.check('mqtt', { name: 'factory', degradedForMs: 1, queueFill: 0.5 });
// @ts-expect-error no such option
health.check('mqtt', { timeoutMs: 1 });

expectTypeOf(server.describeHandlers()).toEqualTypeOf<MqttHandlerDescription[]>();
expectTypeOf(server.handlerStats()).toEqualTypeOf<MqttHandlerStats[]>();
expectTypeOf<EventLoopDiagnostic<'throttled'>['waitMs']>().toEqualTypeOf<number>();
