import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type TextMapGetter,
  type TextMapPropagator,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import type { EventLoop } from '../eventloop/event-loop.js';
import type { IncomingMessage, UserProperties } from '../eventloop/messages.js';
import type { MqttProcessOperation, MqttSendOperation, MqttTracing } from '../interfaces/tracing.interface.js';
import { describeError } from '../mqtt.errors.js';

/** @publicApi */
export interface OpenTelemetryOptions {
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider | undefined;
  /** What writes and reads the context in user properties. Default: the global one, usually W3C trace context and baggage. */
  readonly propagator?: TextMapPropagator | undefined;
}

/** No pattern is empty. */
const answers = '';

/** Properties come from the network: only their own, and the first of several. */
const getter: TextMapGetter<UserProperties> = {
  keys: (properties) => Object.keys(properties),
  get(properties, key) {
    const value = Object.hasOwn(properties, key) ? properties[key] : undefined;
    return typeof value === 'object' ? value[0] : value;
  },
};

/**
 * Spans of OpenTelemetry, for the option `tracing`. The trace context travels in MQTT 5 user properties; on MQTT 3.1.1, which has
 * none, the spans of sender and receiver are not connected.
 *
 * @example `MqttModule.register({ url, tracing: openTelemetry() })`
 * @publicApi
 */
export function openTelemetry({ tracerProvider, propagator }: OpenTelemetryOptions = {}): MqttTracing {
  return new OpenTelemetryTracing((tracerProvider ?? trace).getTracer('nestjs-rumqtt'), propagator);
}

class OpenTelemetryTracing implements MqttTracing {
  readonly #tracer: Tracer;
  readonly #propagator: TextMapPropagator | undefined;
  /** The contexts in which handlers have been called, by pattern; that of whoever answers also under `answers`. */
  readonly #processes = new WeakMap<IncomingMessage, Map<string, Context>>();

  constructor(tracer: Tracer, propagator: TextMapPropagator | undefined) {
    this.#tracer = tracer;
    this.#propagator = propagator;
  }

  send<T>(
    { kind, topic, cause, pattern, loop }: MqttSendOperation,
    send: (userProperties: UserProperties) => Promise<T>,
    ended?: (result: T) => Promise<unknown>,
  ): Promise<T> {
    const parent = cause === undefined ? context.active() : this.#contextOf(cause, pattern ?? answers);
    // Not the topic: names of spans have to be few.
    const span = this.#tracer.startSpan(
      kind,
      {
        kind: kind === 'request' ? SpanKind.CLIENT : SpanKind.PRODUCER,
        attributes: {
          ...connectionOf(loop),
          'messaging.operation.name': kind,
          'messaging.operation.type': 'send',
          'messaging.destination.name': topic,
        },
      },
      parent,
    );
    const active = trace.setSpan(parent, span);
    const carrier: Record<string, string> = {};
    this.#inject(active, carrier);
    return within(active, span, () => send(carrier), ended);
  }

  process<T extends { readonly error: unknown } | undefined>(
    { message, pattern, kind, share, loop }: MqttProcessOperation,
    work: () => Promise<T>,
  ): Promise<T> {
    const sender = this.#extract(message.properties?.userProperties ?? {});
    const sent = trace.getSpanContext(sender);
    // A retained message may be years old: a trace does not go on for that long.
    const parent = message.retain ? trace.deleteSpan(sender) : sender;
    const span = this.#tracer.startSpan(
      `process ${pattern}`,
      {
        kind: SpanKind.CONSUMER,
        links: message.retain && sent !== undefined ? [{ context: sent }] : [],
        attributes: {
          ...connectionOf(loop),
          'messaging.operation.name': 'process',
          'messaging.operation.type': 'process',
          'messaging.destination.name': message.topic,
          'messaging.destination.template': pattern,
          'messaging.message.body.size': message.payload.length,
          ...(share === undefined ? {} : { 'messaging.consumer.group.name': share }),
        },
      },
      parent,
    );
    const active = trace.setSpan(parent, span);
    this.#remember(message, pattern, kind, active);
    return within(active, span, work, (answered) =>
      answered === undefined ? Promise.resolve() : Promise.reject(answered.error),
    );
  }

  #remember(message: IncomingMessage, pattern: string, kind: MqttProcessOperation['kind'], active: Context): void {
    let processes = this.#processes.get(message);
    if (processes === undefined) this.#processes.set(message, (processes = new Map()));
    processes.set(pattern, active);
    // Of several message handlers the first one answers.
    if (kind === 'message' && !processes.has(answers)) processes.set(answers, active);
  }

  /**
   * Where what is sent on behalf of a message belongs: whatever is active may be of another message, when time ran out or after a
   * retry. Without a call, as of what cannot be decoded, it goes on with the sender's trace.
   */
  #contextOf(message: IncomingMessage, process: string): Context {
    const active = this.#processes.get(message)?.get(process);
    if (active !== undefined) return active;
    const sender = this.#extract(message.properties?.userProperties ?? {});
    return message.retain ? trace.deleteSpan(sender) : sender;
  }

  #inject(active: Context, carrier: Record<string, string>): void {
    const setter = {
      set: (target: Record<string, string>, key: string, value: string): void => void (target[key] = value),
    };
    if (this.#propagator === undefined) propagation.inject(active, carrier, setter);
    else this.#propagator.inject(active, carrier, setter);
  }

  #extract(properties: UserProperties): Context {
    // Never the context of whatever happened to be active when the bytes came.
    return this.#propagator === undefined
      ? propagation.extract(ROOT_CONTEXT, properties, getter)
      : this.#propagator.extract(ROOT_CONTEXT, properties, getter);
  }
}

function within<T>(
  active: Context,
  span: Span,
  work: () => Promise<T>,
  ended: (result: T) => Promise<unknown> = (result) => Promise.resolve(result),
): Promise<T> {
  let result: Promise<T>;
  try {
    result = context.with(active, work);
  } catch (error) {
    result = Promise.reject(error);
  }
  result.then(ended).then(
    () => span.end(),
    (error: unknown) => {
      span.setAttribute('error.type', typeOf(error));
      span.setStatus({ code: SpanStatusCode.ERROR, message: describeError(error) });
      if (error instanceof Error) span.recordException(error);
      span.end();
    },
  );
  return result;
}

/** A code where there is one: few, and stable. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

function connectionOf({ negotiated }: EventLoop): Attributes {
  const attributes: Attributes = { 'messaging.system': 'mqtt' };
  if (negotiated === undefined) return attributes;
  attributes['messaging.client.id'] = negotiated.clientId;
  const [, address, port] = /^\w+:\/\/(.+?)(?::(\d+))?(?:\/|$)/.exec(negotiated.server) ?? [];
  if (address !== undefined) attributes['server.address'] = address;
  if (port !== undefined) attributes['server.port'] = Number(port);
  return attributes;
}
