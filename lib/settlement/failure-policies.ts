import type {
  MqttDeadLetterOptions,
  MqttFailurePolicy,
  MqttRetryOptions,
} from '../interfaces/settlement-options.interface.js';

/** Options of a policy that tries again and then gives the message to a dead letter topic. @publicApi */
export interface RetryThenDeadLetterOptions extends MqttRetryOptions {
  /** Default `dead/{topic}`. */
  readonly deadLetter?: MqttDeadLetterOptions | string | undefined;
}

/**
 * Tries again with growing delays; what fails every time goes to a dead letter topic and is acknowledged.
 *
 * @example `@MqttEvent('orders/+order', { ...retryThenDeadLetter({ attempts: 5, deadLetter: 'dead/{topic}' }) })`
 * @publicApi
 */
export function retryThenDeadLetter({ deadLetter, ...retry }: RetryThenDeadLetterOptions = {}): MqttFailurePolicy {
  return { retry, deadLetter: deadLetter ?? {}, onFailure: undefined };
}

/** Gives a failed message to a dead letter topic at once, and acknowledges it. @publicApi */
export function deadLetterFailures(deadLetter: MqttDeadLetterOptions | string = {}): MqttFailurePolicy {
  return { retry: false, deadLetter, onFailure: undefined };
}

/** Acknowledges a failed message: it counts as handled. @publicApi */
export function acknowledgeFailures(): MqttFailurePolicy {
  return { retry: false, deadLetter: false, onFailure: 'acknowledge' };
}

/**
 * Refuses a failed message; MQTT 3.1.1 has no reasons and acknowledges it.
 *
 * @param reasonCode - MQTT 5: 0x80 (default), 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99
 * @publicApi
 */
export function rejectFailures(reasonCode = 0x80): MqttFailurePolicy {
  return { retry: false, deadLetter: false, onFailure: { action: 'reject', reasonCode } };
}

/**
 * Leaves a failed message unacknowledged: a broker that keeps the session sends it again on the next connection.
 *
 * @param options.redeliverAfterMs - after which time the server makes that connection. Default 60 000; 0 = never
 * @publicApi
 */
export function leaveFailures(options: { readonly redeliverAfterMs?: number | undefined } = {}): MqttFailurePolicy {
  const { redeliverAfterMs } = options;
  return {
    retry: false,
    deadLetter: false,
    onFailure: redeliverAfterMs === undefined ? 'leave' : { action: 'leave', redeliverAfterMs },
  };
}
