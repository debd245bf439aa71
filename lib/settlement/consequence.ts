import { hex } from '../eventloop/errors.js';
import type { IncomingMessage } from '../eventloop/messages.js';
import type { FailureAction, RetrySettings } from './settlement-settings.js';

const cure = 'retry and deadLetter would keep such messages';

/**
 * What becomes of a message whose handler has failed for good, for the log.
 *
 * @param isDecided - it was acknowledged before
 * @internal
 */
export function describeConsequence(
  message: IncomingMessage,
  isDecided: boolean,
  onFailure: FailureAction,
  protocolVersion: 4 | 5 | undefined,
): string {
  if (message.qos === 0) return `it came with QoS 0 and is gone: ${cure}`;
  if (isDecided) return `it was acknowledged on receipt and is gone: ${cure}`;
  switch (onFailure.action) {
    case 'acknowledge':
      return 'it is acknowledged, as onFailure says';
    case 'leave':
      return 'it is left unacknowledged: the broker sends it again on the next connection';
    case 'reject':
      return protocolVersion === 4
        ? `it is acknowledged, for MQTT 3.1.1 cannot refuse: ${cure}`
        : `it is refused (${hex(onFailure.reasonCode)}): ${cure}`;
  }
}

/** Nothing for the only attempt. @internal */
export function describeAttempt(attempt: number, retry: RetrySettings | undefined): string {
  if (retry === undefined) return attempt === 1 ? '' : ` (attempt ${attempt})`;
  return ` (attempt ${attempt} of ${retry.attempts})`;
}
