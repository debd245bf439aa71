import type { OptionChecks } from '../eventloop/option-checks.js';
import type { MqttUndecodablePolicy } from '../interfaces/codec.interface.js';
import { autoCodec, type PayloadCodec } from './codec.js';
import { readCodec } from './codecs.js';

/** Payload options with every default filled in. @internal */
export interface PayloadSettings {
  readonly codec: PayloadCodec;
  /** Undefined: as for a handler that fails. */
  readonly onUndecodable: MqttUndecodablePolicy | undefined;
}

/** @internal */
export const defaultPayload: PayloadSettings = Object.freeze({ codec: autoCodec, onUndecodable: undefined });

/** @internal */
export const undecodableActions = ['reject', 'dead-letter', 'acknowledge'] as const;

/**
 * Reads the payload options of a module or of a handler.
 *
 * @internal
 */
export function readPayloadSettings(
  given: Readonly<Record<string, unknown>>,
  defaults: PayloadSettings,
  checks: OptionChecks,
): PayloadSettings {
  const { codec, onUndecodable } = given;
  return Object.freeze({
    codec: readCodec('codec', codec, defaults.codec, checks),
    onUndecodable: readUndecodable('onUndecodable', onUndecodable, defaults, checks),
  });
}

function readUndecodable(
  option: string,
  value: unknown,
  defaults: PayloadSettings,
  checks: OptionChecks,
): MqttUndecodablePolicy | undefined {
  if (value === undefined) return defaults.onUndecodable;
  if (typeof value === 'function' || (undecodableActions as readonly unknown[]).includes(value)) {
    return value as MqttUndecodablePolicy;
  }
  checks.report(option, value, '"reject", "dead-letter", "acknowledge" or a function that returns one of them');
  return defaults.onUndecodable;
}
