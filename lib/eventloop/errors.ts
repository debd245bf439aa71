const brandOf = Symbol.for('nestjs-rumqtt.brand');

/**
 * What became of the message when its operation failed.
 * `not-sent`: the broker never saw it. `unknown`: it was sent and no answer came.
 *
 * @publicApi
 */
export type DeliveryState = 'not-sent' | 'unknown';

/**
 * The base of every error of this package. `instanceof` works across duplicate installs.
 *
 * @publicApi
 */
export abstract class MqttError extends Error {
  /** Stable, for programs; messages may change. */
  abstract readonly code: string;

  static {
    brand(this, 'MqttError');
  }

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // A class without a brand of its own is a user's subclass: only the prototype chain can tell.
    if (!Object.hasOwn(this, brandOf)) return Function.prototype[Symbol.hasInstance].call(this, value);
    const brandSymbol = (this as unknown as Record<symbol, symbol>)[brandOf];
    return typeof value === 'object' && value !== null && brandSymbol !== undefined && brandSymbol in value;
  }
}

/** Marks the prototype with a registered symbol, which a second copy of this package shares. @internal */
export function brand(errorClass: { prototype: object }, name: string): void {
  const symbol = Symbol.for(`nestjs-rumqtt.${name}`);
  Object.defineProperty(errorClass, brandOf, { value: symbol });
  Object.defineProperty(errorClass.prototype, symbol, { value: true });
}

/** One mistake in the options. @publicApi */
export interface OptionIssue {
  readonly option: string;
  /** What was given, shortened; secrets are replaced. */
  readonly value: string;
  /** What is accepted. */
  readonly expected: string;
}

/** Options that cannot work. Lists every mistake at once. @publicApi */
export class MqttOptionsError extends MqttError {
  static {
    brand(this, 'MqttOptionsError');
  }
  override readonly code = 'MQTT_INVALID_OPTIONS';

  constructor(readonly issues: readonly OptionIssue[]) {
    super(
      `invalid MQTT options: ${issues.map((issue) => `${issue.option} is ${issue.value}, expected ${issue.expected}`).join('; ')}`,
    );
  }
}

/** An argument of a call that cannot be sent: topic, filter, payload, QoS, property. Nothing was taken. @publicApi */
export class MqttArgumentError extends MqttError {
  static {
    brand(this, 'MqttArgumentError');
  }
  override readonly code = 'MQTT_INVALID_ARGUMENT';

  constructor(
    readonly field: string,
    readonly value: unknown,
    readonly expected: string,
  ) {
    super(`invalid ${field}: ${describeValue(value)}; expected ${expected}`);
  }
}

/** The packet exceeds a size limit. @publicApi */
export class MqttPacketTooLargeError extends MqttError {
  static {
    brand(this, 'MqttPacketTooLargeError');
  }
  override readonly code = 'MQTT_PACKET_TOO_LARGE';

  constructor(
    readonly packetBytes: number,
    readonly limitBytes: number,
    readonly limitOf: 'maxPacketBytes' | 'requestCapacityBytes' | 'server',
    /** `unknown` when an earlier connection, of a server without this limit, has sent it. */
    readonly delivery: DeliveryState = 'not-sent',
  ) {
    super(
      limitOf === 'server'
        ? `packet of ${packetBytes} bytes exceeds the server's Maximum Packet Size of ${limitBytes} bytes; send a smaller payload or raise the limit on the server`
        : `packet of ${packetBytes} bytes exceeds ${limitOf} (${limitBytes} bytes); send a smaller payload or raise the option`,
    );
  }
}

/** The request queue (or the line of those who wait for it) is full. @publicApi */
export class MqttQueueFullError extends MqttError {
  static {
    brand(this, 'MqttQueueFullError');
  }
  override readonly code = 'MQTT_QUEUE_FULL';
  readonly delivery = 'not-sent';

  constructor(
    readonly limit: 'requestCapacity' | 'requestCapacityBytes' | 'maxWaiters',
    readonly limitValue: number,
  ) {
    super(
      `request queue is full (${limit} ${limitValue}); the broker is unreachable or slower than the callers: await earlier publishes, raise ${limit}, or choose another overflow policy`,
    );
  }
}

/** The overflow policy dropped this message from the request queue. @publicApi */
export class MqttMessageDroppedError extends MqttError {
  static {
    brand(this, 'MqttMessageDroppedError');
  }
  override readonly code = 'MQTT_MESSAGE_DROPPED';
  readonly delivery = 'not-sent';

  constructor(readonly policy: 'drop-oldest' | 'drop-newest') {
    super(
      `message dropped by the overflow policy "${policy}": the request queue was full; use "wait" or "reject" to keep it`,
    );
  }
}

/** The broker refused this publish, subscribe or unsubscribe; the connection goes on. @publicApi */
export class MqttRefusedError extends MqttError {
  static {
    brand(this, 'MqttRefusedError');
  }
  override readonly code: 'MQTT_PUBLISH_REFUSED' | 'MQTT_SUBSCRIBE_REFUSED' | 'MQTT_UNSUBSCRIBE_REFUSED';

  constructor(
    operation: 'publish' | 'subscribe' | 'unsubscribe',
    /** The topic, or the first filter that was refused. */
    readonly target: string,
    readonly reasonCode: number,
    readonly reason: string,
    /** Every refused filter with its reason code; empty for a publish. */
    readonly refused: ReadonlyMap<string, number> = new Map(),
  ) {
    super(`broker refused to ${operation} "${target}": ${reason} (${hex(reasonCode)})`);
    this.code = `MQTT_${operation.toUpperCase() as 'PUBLISH' | 'SUBSCRIBE' | 'UNSUBSCRIBE'}_REFUSED`;
  }
}

/** The broker of this connection cannot do what the request needs (Maximum QoS, retain, shared subscriptions, …). @publicApi */
export class MqttNotSupportedError extends MqttError {
  static {
    brand(this, 'MqttNotSupportedError');
  }
  override readonly code = 'MQTT_NOT_SUPPORTED_BY_SERVER';

  constructor(
    readonly feature: string,
    cure: string,
    /** `unknown` when an earlier connection, of a server that could, has sent it. */
    readonly delivery: DeliveryState = 'not-sent',
  ) {
    super(`the server does not support ${feature}; ${cure}`);
  }
}

/** An operation's `timeoutMs` ran out. @publicApi */
export class MqttTimeoutError extends MqttError {
  static {
    brand(this, 'MqttTimeoutError');
  }
  override readonly code = 'MQTT_TIMEOUT';

  constructor(
    readonly operation: string,
    readonly timeoutMs: number,
    readonly delivery: DeliveryState,
  ) {
    super(
      `${operation} did not complete within ${timeoutMs} ms: ${delivery === 'not-sent' ? 'it was never sent and has been taken back' : 'it was sent and may still arrive'}`,
    );
  }
}

/** An operation's `signal` was aborted; the signal's reason is the cause. @publicApi */
export class MqttAbortError extends MqttError {
  static {
    brand(this, 'MqttAbortError');
  }
  override readonly code = 'MQTT_ABORTED';

  constructor(
    readonly operation: string,
    readonly delivery: DeliveryState,
    options?: ErrorOptions,
  ) {
    super(
      `${operation} was aborted: ${delivery === 'not-sent' ? 'it was never sent and has been taken back' : 'it was sent and may still arrive'}`,
      options,
    );
  }
}

/** The event loop is closed (or closing) and takes no more work. @publicApi */
export class MqttClosedError extends MqttError {
  static {
    brand(this, 'MqttClosedError');
  }
  override readonly code = 'MQTT_CLOSED';

  constructor(
    readonly delivery: DeliveryState = 'not-sent',
    options?: ErrorOptions,
  ) {
    super(
      delivery === 'not-sent'
        ? 'the event loop is closed: this request was not sent; create a new EventLoop to go on'
        : 'the event loop was closed before the broker answered: the request may have arrived',
      options,
    );
  }
}

/** A call that the present state does not allow. @publicApi */
export class MqttStateError extends MqttError {
  static {
    brand(this, 'MqttStateError');
  }
  override readonly code = 'MQTT_INVALID_STATE';
}

function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object';
  return String(value);
}

/** A reason code as the specification prints it. @internal */
export function hex(reasonCode: number): string {
  return `0x${reasonCode.toString(16).padStart(2, '0')}`;
}
