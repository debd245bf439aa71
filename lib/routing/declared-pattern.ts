import type { MqttPattern } from '../interfaces/handler-options.interface.js';

// Beyond these Nest replaces parts of the pattern by a placeholder, and different patterns become one topic.
const mostDepth = 5;
const mostKeys = 20;

/** Whether Nest makes a topic of its own of a pattern. @internal */
export function isPattern(value: unknown, depth = 0): value is MqttPattern {
  if (typeof value === 'string') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null || depth > mostDepth) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const values = Object.values(value);
  return values.length <= mostKeys && values.every((part) => isPattern(part, depth + 1));
}
