import type { EventLoop } from '../eventloop/event-loop.js';
import type { MqttTracing } from '../interfaces/tracing.interface.js';
import type { ProcessingHooks } from '../settlement/run-environment.js';
import { TracedSends } from './traced-sends.js';

/** What a server needs to run handlers and to send within spans; Nest's hooks run inside of them. @internal */
export function tracedServer(
  tracing: MqttTracing | undefined,
  loop: EventLoop,
  processingHooks: () => ProcessingHooks | undefined,
): { readonly processingHooks: () => ProcessingHooks | undefined; readonly tracedSends?: TracedSends } {
  if (tracing === undefined) return { processingHooks };
  const hooks: ProcessingHooks = (context, work, handler) => {
    const inner = processingHooks();
    const operation = {
      message: context.getMessage(),
      pattern: handler.pattern.declared,
      kind: handler.isEvent ? 'event' : 'message',
      share: handler.pattern.share,
      loop,
    } as const;
    return tracing.process(operation, inner === undefined ? work : () => inner(context, work, handler));
  };
  return { processingHooks: () => hooks, tracedSends: new TracedSends(tracing, loop) };
}
