import { MqttArgumentError } from '../eventloop/errors.js';
import type { MqttRequestOptions } from '../interfaces/client-options.interface.js';

/** @throws MqttArgumentError @internal */
export function assertRequestOptions({ timeoutMs, signal, envelope }: MqttRequestOptions): void {
  if (timeoutMs !== undefined && !(Number.isFinite(timeoutMs) && timeoutMs >= 0)) {
    throw new MqttArgumentError('timeoutMs', timeoutMs, 'milliseconds from 0, which means no limit');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new MqttArgumentError('signal', signal, 'an AbortSignal');
  }
  if (envelope !== undefined && envelope !== 'nest' && envelope !== 'none') {
    throw new MqttArgumentError('envelope', envelope, '"nest" or "none"');
  }
}
