import { Counter, type Registry } from 'prom-client';
import type { NamedSource } from './named-source.js';

const labelNames = ['connection', 'pattern', 'kind', 'outcome'] as const;

/** For messages that no handler matched. @internal */
export const unmatchedPattern = '<unmatched>';

/** What happened to handler runs, by handler; handlers of one pattern and kind are counted together. @internal */
export function handlerRuns(prefix: string, registry: Registry, sources: readonly NamedSource[]): string[] {
  const runs = new Counter({
    name: `${prefix}handler_runs_total`,
    help: 'Handler runs that have ended, and messages that no handler matched',
    labelNames,
    registers: [],
    collect() {
      this.reset();
      for (const { name: connection, server } of sources) {
        if (server === undefined) continue;
        this.inc(
          { connection, pattern: unmatchedPattern, kind: 'none', outcome: 'unmatched' },
          server.stats().unmatched,
        );
        for (const { pattern, kind, ...ended } of server.handlerStats()) {
          this.inc({ connection, pattern, kind, outcome: 'succeeded' }, ended.succeeded);
          this.inc({ connection, pattern, kind, outcome: 'failed' }, ended.failed);
          this.inc({ connection, pattern, kind, outcome: 'answered-error' }, ended.answeredErrors);
          this.inc({ connection, pattern, kind, outcome: 'unfinished' }, ended.unfinished);
        }
      }
    },
  });

  const retries = new Counter({
    name: `${prefix}handler_retries_total`,
    help: 'Attempts of handlers that failed and were followed by another one',
    labelNames: ['connection', 'pattern', 'kind'],
    registers: [],
    collect() {
      this.reset();
      for (const { name: connection, server } of sources) {
        for (const { pattern, kind, retried } of server?.handlerStats() ?? []) {
          this.inc({ connection, pattern, kind }, retried);
        }
      }
    },
  });
  registry.registerMetric(runs);
  registry.registerMetric(retries);
  return [`${prefix}handler_runs_total`, `${prefix}handler_retries_total`];
}
