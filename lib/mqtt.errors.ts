import { brand, MqttError } from './eventloop/errors.js';

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
