import { Buffer } from 'node:buffer';
import { MqttArgumentError } from './errors.js';

const MAX_BYTES = 65_535;

/**
 * Throws {@link MqttArgumentError} unless the value can be an MQTT string: at most 65 535 bytes of UTF-8, no U+0000, no half
 * surrogate pair [MQTT-1.5.4-1] [MQTT-1.5.4-2]. Empty is allowed.
 *
 * @internal
 */
export function assertText(value: unknown, field: string): asserts value is string {
  if (typeof value !== 'string') throw new MqttArgumentError(field, value, 'a string');
  if (value.includes('\0')) throw new MqttArgumentError(field, value, 'text without the NUL character (U+0000)');
  // With the "u" flag only a surrogate without its partner is one.
  if (/\p{Surrogate}/u.test(value)) {
    throw new MqttArgumentError(field, value, 'well-formed Unicode: half of a surrogate pair has no UTF-8 form');
  }
  // No UTF-16 unit takes more than three bytes.
  if (value.length * 3 > MAX_BYTES && Buffer.byteLength(value) > MAX_BYTES) {
    throw new MqttArgumentError(
      field,
      value,
      `at most ${MAX_BYTES} bytes of UTF-8, this has ${Buffer.byteLength(value)}`,
    );
  }
}
