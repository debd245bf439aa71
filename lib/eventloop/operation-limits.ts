import { setMaxListeners } from 'node:events';
import { AlarmClock } from './alarms.js';
import type { Clock } from './clock.js';
import { MqttArgumentError } from './errors.js';
import type { OperationOptions } from './messages.js';
import type { Operation } from './session/operation.js';

/** Ends waits on a signal and after a time, on one timer for all of them. @internal */
export class OperationLimits {
  readonly #alarms: AlarmClock;

  constructor(clock: Clock) {
    this.#alarms = new AlarmClock(clock);
  }

  /** @param withdraw - runs after the operation has been given up, to take back what was not sent */
  limit<R>(operation: Operation<R>, options: OperationOptions, withdraw: () => void): void {
    if (options.signal === undefined && options.timeoutMs === undefined) return;
    // One signal for many operations is no leak: each takes its listener back when it settles.
    if (options.signal !== undefined) setMaxListeners(0, options.signal);
    operation.limit(options, this.#alarms, withdraw);
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
