import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Histogram, type Registry } from 'prom-client';
import { handlerChannelName, type HandlerDiagnostic } from '../settlement/handler-diagnostics.js';
import type { MqttServer } from '../mqtt.server.js';
import type { NamedSource } from './named-source.js';

/** Those that OpenTelemetry recommends for durations of messaging. */
const usualLimits = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** @returns a function that ends it. @internal */
export function observeHandlerDurations(
  prefix: string,
  registry: Registry,
  sources: readonly NamedSource[],
  limits: true | readonly number[],
): () => void {
  const name = `${prefix}handler_duration_seconds`;
  const histogram = new Histogram({
    name,
    help: 'How long calls of handlers took',
    labelNames: ['connection', 'pattern', 'kind', 'outcome'],
    buckets: limits === true ? usualLimits : [...limits],
    registers: [registry],
  });
  const connections = new Map(sources.map((source) => [source.server, source.name]));
  const observe = (message: unknown): void => {
    const { server, pattern, kind, outcome, durationMs } = message as HandlerDiagnostic;
    const connection = connections.get(server as MqttServer);
    if (connection !== undefined) histogram.observe({ connection, pattern, kind, outcome }, durationMs / 1_000);
  };
  subscribe(handlerChannelName, observe);
  return () => {
    unsubscribe(handlerChannelName, observe);
    registry.removeSingleMetric(name);
  };
}
