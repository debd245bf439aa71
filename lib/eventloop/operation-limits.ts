import { setMaxListeners } from 'node:events';
import { Alarms } from './alarms.js';
import type { Clock } from './clock.js';
import { MqttArgumentError } from './errors.js';
import type { OperationOptions } from './messages.js';
import { OperationLimit, type LimitedOperation, type Line } from './operation-limit.js';
import type { Limit } from './session/operation.js';

/** Ends waits on a signal and after a time, on one timer for all of them. @internal */
export class OperationLimits {
  readonly #alarms: Alarms;

  constructor(clock: Clock) {
    this.#alarms = new Alarms(clock);
  }

  /** @param line - takes the operation back when it is given up */
  limit<O extends LimitedOperation & { limit: Limit | undefined }>(
    operation: O,
    options: OperationOptions,
    line: Line<O>,
  ): void {
    if (options.signal === undefined && options.timeoutMs === undefined) return;
    // One signal for many operations is no leak: each takes its listener back when it settles.
    if (options.signal !== undefined) setMaxListeners(0, options.signal);
    operation.limit = new OperationLimit(operation, options, this.#alarms, line);
    operation.limit.begin();
  }
}

/** @throws MqttArgumentError naming field, value and cure. @internal */
export function assertOperationOptions(options: OperationOptions): void {
  if (typeof options !== 'object' || options === null)
    throw new MqttArgumentError('options', options, 'an object; leave it out for the defaults');
  const { signal, timeoutMs } = options;
  if (timeoutMs !== undefined && !(Number.isFinite(timeoutMs) && timeoutMs > 0)) {
    throw new MqttArgumentError('timeoutMs', timeoutMs, 'a positive number of milliseconds; leave it out for no limit');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new MqttArgumentError('signal', signal, 'an AbortSignal');
}
