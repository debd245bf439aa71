import { Counter, Gauge, register, type Registry } from 'prom-client';
import { MqttArgumentError } from '../eventloop/errors.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import type { MqttClient } from '../mqtt.client.js';
import { defaultName } from '../mqtt.constants.js';
import type { MqttServer } from '../mqtt.server.js';
import { observeHandlerDurations } from './handler-durations.js';
import { handlerRuns } from './handler-metrics.js';
import type { NamedSource } from './named-source.js';
import { clientMetrics, loopMetrics, serverMetrics, type Metric } from './metric-table.js';

/** What metrics are read from. @publicApi */
export interface MqttMetricsSource {
  /** The label `connection`. Default `default`; several sources in one registry need names of their own. */
  readonly name?: string | undefined;
  /** Default: that of the server or the client. */
  readonly loop?: EventLoop | undefined;
  readonly server?: MqttServer | undefined;
  readonly client?: MqttClient | undefined;
}

/** @publicApi */
export interface MqttMetricsOptions {
  /** Default: prom-client's own. */
  readonly registry?: Registry | undefined;
  /** Before the name of each metric. Default `mqtt_`. */
  readonly prefix?: string | undefined;
  /**
   * A histogram of how long handlers take, in seconds. The only metric that costs something for each message.
   * `true`: with 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5 and 10 as limits. Default: none.
   */
  readonly handlerDurations?: boolean | readonly number[] | undefined;
}

/**
 * Registers metrics of one or several connections with prom-client. They are read from `stats()` when they are scraped. Labels
 * are names of connections and declared patterns, never topics.
 *
 * @returns a function that removes them from the registry
 * @throws MqttArgumentError for a source without loop, server and client, or for two of one name
 * @publicApi
 */
export function registerMqttMetrics(
  sources: MqttMetricsSource | readonly MqttMetricsSource[],
  { registry = register, prefix = 'mqtt_', handlerDurations = false }: MqttMetricsOptions = {},
): () => void {
  const named = nameSources(Array.isArray(sources) ? sources : [sources as MqttMetricsSource]);
  const metrics = [
    ...loopMetrics.map((metric) => collected(metric, prefix, registry, named, ({ loop }) => loop.stats())),
    ...serverMetrics.map((metric) => collected(metric, prefix, registry, named, ({ server }) => server?.stats())),
    ...clientMetrics.map((metric) => collected(metric, prefix, registry, named, ({ client }) => client?.stats())),
    ...handlerRuns(prefix, registry, named),
  ];
  const durations =
    handlerDurations === false ? undefined : observeHandlerDurations(prefix, registry, named, handlerDurations);
  return () => {
    durations?.();
    for (const name of metrics) registry.removeSingleMetric(name);
  };
}

/** @returns the name of the metric */
function collected<Stats>(
  metric: Metric<Stats>,
  prefix: string,
  registry: Registry,
  sources: readonly NamedSource[],
  statsOf: (source: NamedSource) => Stats | undefined,
): string {
  const Type = metric.type === 'counter' ? Counter : Gauge;
  const name = prefix + metric.name;
  const reader = new Type({
    name,
    help: metric.help,
    labelNames: ['connection'],
    registers: [],
    collect() {
      this.reset();
      for (const source of sources) {
        const stats = statsOf(source);
        if (stats !== undefined) this.inc({ connection: source.name }, metric.read(stats));
      }
    },
  });
  registry.registerMetric(reader);
  return name;
}

function nameSources(sources: readonly MqttMetricsSource[]): NamedSource[] {
  const names = new Set<string>();
  return sources.map(({ name = defaultName, loop, server, client }) => {
    if (names.has(name)) throw new MqttArgumentError('name', name, 'another name for each source');
    names.add(name);
    const own = loop ?? server?.unwrap() ?? client?.unwrap();
    if (own === undefined) throw new MqttArgumentError('source', name, 'a loop, a server or a client');
    return { name, loop: own, server, client };
  });
}
