import { inspect } from 'node:util';
import type { MqttPattern } from '../interfaces/handler-options.interface.js';
import { describeError, MqttHandlersError } from '../mqtt.errors.js';
import { shortened } from '../settlement/shortened.js';

// Beyond these Nest replaces parts of the pattern by a placeholder, and different patterns become one topic.
const mostDepth = 5;
const mostKeys = 20;

const mostCharacters = 120;
const expectedPattern =
  'a topic filter such as "plants/+plant", or a plain object of strings, numbers and such objects (5 deep, 20 keys)';

/**
 * The pattern that was declared, or that a function makes of the values that the registration provides.
 *
 * @throws MqttHandlersError
 * @internal
 */
export function resolvePattern(declared: unknown, values: unknown): MqttPattern {
  if (typeof declared === 'function') return callPattern(declared as (values: unknown) => unknown, values);
  if (isPattern(declared)) return declared;
  const shown = inspect(declared, { depth: 0, breakLength: Infinity, maxStringLength: 80 });
  throw mistake(shown, shown, expectedPattern);
}

function callPattern(pattern: (values: unknown) => unknown, values: unknown): string {
  const source = shortened(String(pattern).replaceAll(/\s+/g, ' '), mostCharacters);
  const expected = 'a function that makes a topic filter of patternValues';
  let made: unknown;
  try {
    made = pattern(values);
  } catch (error) {
    const missing = values === undefined ? '; the module has no patternValues' : '';
    const reason = shortened(describeError(error), mostCharacters);
    throw mistake(source, 'a function that throws', `${expected}; it threw: ${reason}${missing}`);
  }
  // Not what it is: it may be all of the configuration.
  if (typeof made !== 'string') throw mistake(source, `a function that returns ${kindOf(made)}`, expected);
  return made;
}

function kindOf(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  return value === null || value === undefined ? String(value) : `a value of type ${typeof value}`;
}

function mistake(pattern: string, value: string, expected: string): MqttHandlersError {
  return new MqttHandlersError([{ pattern, option: 'pattern', value, expected }]);
}

/** Whether Nest makes a topic of its own of a pattern. */
function isPattern(value: unknown, depth = 0): value is MqttPattern {
  if (typeof value === 'string') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null || depth > mostDepth) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const values = Object.values(value);
  return values.length <= mostKeys && values.every((part) => isPattern(part, depth + 1));
}
