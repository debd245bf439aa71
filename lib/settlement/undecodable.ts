import { MqttArgumentError } from '../eventloop/errors.js';
import type { IncomingMessage } from '../eventloop/messages.js';
import type { MqttUndecodableAction } from '../interfaces/codec.interface.js';
import type { MqttDecodeError } from '../mqtt.errors.js';
import type { RegisteredHandler } from '../routing/handler.js';
import { undecodableActions } from '../serialization/payload-settings.js';
import type { OutcomeReport } from './outcome-report.js';
import type { SettlementPlan } from './settlement-plan.js';
import type { FailureAction, SettlementSettings } from './settlement-settings.js';

const payloadFormatInvalid = 0x99;

/** What becomes of a message that no attempt can help. @internal */
export type FailurePlan = Pick<SettlementSettings, 'deadLetter' | 'onFailure'>;

const refuse: FailureAction = Object.freeze({ action: 'reject', reasonCode: payloadFormatInvalid });
const accept: FailureAction = Object.freeze({ action: 'acknowledge' });

/**
 * What the handler's options say about a message that cannot be decoded. The function among them may take its time and may
 * fail; its promise does not.
 *
 * @internal
 */
export function planUndecodable(
  { onUndecodable, settlement, pattern }: RegisteredHandler,
  message: IncomingMessage,
  error: MqttDecodeError,
  report: OutcomeReport,
): FailurePlan | Promise<FailurePlan> {
  if (onUndecodable === undefined) return settlement;
  if (typeof onUndecodable === 'string') return planOf(onUndecodable, settlement);
  return new Promise<MqttUndecodableAction>((resolve) => resolve(onUndecodable(message, error))).then(
    (action) => {
      if (undecodableActions.includes(action)) return planOf(action, settlement);
      const expected = '"reject", "dead-letter" or "acknowledge"';
      report.hookFailed('onUndecodable', pattern.declared, new MqttArgumentError('result', action, expected));
      return settlement;
    },
    (cause: unknown) => {
      report.hookFailed('onUndecodable', pattern.declared, cause);
      return settlement;
    },
  );
}

/** What a requester learns; not what the codec threw. @internal */
export function toRequester({ codec }: MqttDecodeError): object {
  return { status: 'error', message: `the payload cannot be decoded by codec "${codec}"` };
}

function planOf(action: MqttUndecodableAction, settlement: SettlementPlan): FailurePlan {
  switch (action) {
    case 'reject':
      return { deadLetter: undefined, onFailure: refuse };
    case 'dead-letter':
      // A dead letter is not buried again: then `onFailure` holds.
      return { deadLetter: settlement.undecodableLetter, onFailure: settlement.onFailure };
    case 'acknowledge':
      return { deadLetter: undefined, onFailure: accept };
  }
}
