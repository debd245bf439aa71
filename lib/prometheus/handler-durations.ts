import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Histogram, type Registry } from 'prom-client';
import { handlerChannelName, type HandlerDiagnostic, type HandlerOutcome } from '../settlement/handler-diagnostics.js';
import type { MqttServer } from '../mqtt.server.js';
import type { NamedSource } from './named-source.js';

/** Those that OpenTelemetry recommends for durations of messaging. */
const usualLimits = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

const kinds = ['event', 'message'] as const;
const outcomes: readonly HandlerOutcome[] = ['succeeded', 'failed', 'answered-error'];

/** @returns a function that ends it. @internal */
export function observeHandlerDurations(
  prefix: string,
  registry: Registry,
  sources: readonly NamedSource[],
  limits: true | readonly number[],
): () => void {
  const name = `${prefix}handler_duration_seconds`;
  const watched = new Map(
    sources.map(({ server, name: connection }) => [server, { connection, seen: new Set<string>() }]),
  );
  const histogram = new Histogram({
    name,
    help: 'How long calls of handlers took',
    labelNames: ['connection', 'pattern', 'kind', 'outcome'],
    buckets: limits === true ? usualLimits : [...limits],
    registers: [registry],
    // Handlers that have gone take their series with them: with all that ever came there would be no limit.
    collect() {
      for (const [server, { connection, seen }] of watched) {
        const there = new Set(server?.handlerStats().map(({ pattern }) => pattern));
        for (const pattern of seen) {
          if (there.has(pattern)) continue;
          seen.delete(pattern);
          for (const kind of kinds) for (const outcome of outcomes) this.remove({ connection, pattern, kind, outcome });
        }
      }
    },
  });
  const observe = (message: unknown): void => {
    const { server, pattern, kind, outcome, durationMs } = message as HandlerDiagnostic;
    const source = watched.get(server as MqttServer);
    if (source === undefined) return;
    source.seen.add(pattern);
    histogram.observe({ connection: source.connection, pattern, kind, outcome }, durationMs / 1_000);
  };
  subscribe(handlerChannelName, observe);
  return () => {
    unsubscribe(handlerChannelName, observe);
    registry.removeSingleMetric(name);
  };
}
