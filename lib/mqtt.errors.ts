import { brand, MqttError, type OptionIssue } from './eventloop/errors.js';

/** Too many requests wait for replies. Nothing was sent. @publicApi */
export class MqttTooManyRequestsError extends MqttError {
  static {
    brand(this, 'MqttTooManyRequestsError');
  }
  override readonly code = 'MQTT_TOO_MANY_REQUESTS';
  readonly delivery = 'not-sent';

  constructor(readonly maxPendingRequests: number) {
    super(
      `${maxPendingRequests} requests wait for replies already (maxPendingRequests); the responders are slower than the callers: await earlier replies, or raise the option`,
    );
  }
}

/** Nobody subscribes to the topic of a request: the broker said so. @publicApi */
export class MqttNoResponderError extends MqttError {
  static {
    brand(this, 'MqttNoResponderError');
  }
  override readonly code = 'MQTT_NO_RESPONDER';

  constructor(readonly topic: string) {
    super(`nobody subscribes to "${topic}": the request cannot be answered; start the responder, or check the topic`);
  }
}

/** The responder answered with an error. @publicApi */
export class MqttRemoteError extends MqttError {
  static {
    brand(this, 'MqttRemoteError');
  }
  override readonly code = 'MQTT_REMOTE_ERROR';

  constructor(
    readonly topic: string,
    /** What the responder sent. */
    readonly response: unknown,
  ) {
    super(`the responder to "${topic}" answered with an error: ${describeError(response)}`, { cause: response });
  }
}

/**
 * `wrong-mode`: the handler's messages are not settled by hand. `already-settled`: this attempt has been settled, or has ended.
 * `request`: a request that this handler answers cannot be retried.
 *
 * @publicApi
 */
export type MqttSettlementMisuse = 'wrong-mode' | 'already-settled' | 'request';

const misuses: Readonly<Record<MqttSettlementMisuse, string>> = {
  'wrong-mode':
    "is of no use: its messages are not settled by hand; set acknowledge: 'manual', or throw to let the failure policy decide",
  'already-settled':
    'came too late: this attempt has been settled; call exactly one of acknowledge(), reject() and retry(), once',
  request: 'is of no use: the requester was answered; let it ask again, or acknowledge',
};

/** `context.acknowledge()`, `reject()` or `retry()` where it cannot mean anything. It changes nothing. @publicApi */
export class MqttSettlementError extends MqttError {
  static {
    brand(this, 'MqttSettlementError');
  }
  override readonly code = 'MQTT_SETTLEMENT_MISUSE';

  constructor(
    readonly method: 'acknowledge' | 'reject' | 'retry',
    readonly reason: MqttSettlementMisuse,
    /** The pattern of the handler. */
    readonly pattern: string,
    readonly topic: string,
  ) {
    super(`context.${method}() of the handler for "${pattern}" ${misuses[reason]}`);
  }
}

/** A handler did not settle within `handlerTimeoutMs`. @publicApi */
export class MqttHandlerTimeoutError extends MqttError {
  static {
    brand(this, 'MqttHandlerTimeoutError');
  }
  override readonly code = 'MQTT_HANDLER_TIMEOUT';

  constructor(
    /** The pattern of the handler. */
    readonly pattern: string,
    readonly topic: string,
    readonly handlerTimeoutMs: number,
  ) {
    super(
      `the handler for "${pattern}" did not settle within ${handlerTimeoutMs} ms; make it end (a stream too), or raise handlerTimeoutMs`,
    );
  }
}

/** One mistake in the declaration of a handler. @publicApi */
export interface MqttHandlerIssue extends OptionIssue {
  /** The pattern of the handler, as far as it can be shown. */
  readonly pattern: string;
}

/** Handlers that cannot work as they are declared. Lists every mistake of every handler at once. @publicApi */
export class MqttHandlersError extends MqttError {
  static {
    brand(this, 'MqttHandlersError');
  }
  override readonly code = 'MQTT_INVALID_HANDLERS';

  constructor(readonly issues: readonly MqttHandlerIssue[]) {
    const mistakes = issues.map(
      ({ option, pattern, value, expected }) =>
        `${option} of the handler for "${pattern}" is ${value}, expected ${expected}`,
    );
    super(`invalid MQTT handlers: ${mistakes.join('; ')}`);
  }
}

/** The broker does not let handlers have their subscriptions; with `onSubscriptionRefused: 'fail'`. @publicApi */
export class MqttSubscriptionsRefusedError extends MqttError {
  static {
    brand(this, 'MqttSubscriptionsRefusedError');
  }
  override readonly code = 'MQTT_SUBSCRIPTIONS_REFUSED';

  constructor(
    /** Why, by filter. */
    readonly refusals: ReadonlyMap<string, MqttError>,
  ) {
    const reasons = [...refusals].map(([filter, error]) => `"${filter}" (${error.message})`).join(', ');
    super(
      `handlers would receive nothing from ${reasons}; check the broker's access rules and limits, or set onSubscriptionRefused: 'report'`,
    );
  }
}

/** A payload is not what its codec reads. @publicApi */
export class MqttDecodeError extends MqttError {
  static {
    brand(this, 'MqttDecodeError');
  }
  override readonly code = 'MQTT_UNDECODABLE';

  /** @param cause - what the codec threw */
  constructor(
    /** The name of the codec, or the content type of one of your own. */
    readonly codec: string,
    readonly topic: string,
    /** What the sender says about the payload. */
    readonly contentType: string | undefined,
    cause: unknown,
  ) {
    super(`the payload cannot be decoded by codec "${codec}": ${describeError(cause)}`, { cause });
  }
}

/** An option needs a package that is not installed. @publicApi */
export class MqttMissingPackageError extends MqttError {
  static {
    brand(this, 'MqttMissingPackageError');
  }
  override readonly code = 'MQTT_MISSING_PACKAGE';

  constructor(
    readonly packageName: string,
    /** What asks for it. */
    feature: string,
    options?: ErrorOptions,
  ) {
    super(`${feature} needs the package ${packageName}: npm install ${packageName}`, options);
  }
}

/** One line for people, whatever was thrown. @internal */
export function describeError(error: unknown): string {
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string') {
    return error.message;
  }
  try {
    return JSON.stringify(error) ?? String(error);
  } catch {
    return String(error);
  }
}
