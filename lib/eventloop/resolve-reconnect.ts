import type { OptionChecks } from './option-checks.js';
import type { ReconnectOptions, ResolvedOptions } from './options.js';

const FIVE_MINUTES_MS = 300_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Checks the `reconnect` option and fills in its defaults. @internal */
export function resolveReconnect(reconnect: ReconnectOptions, checks: OptionChecks): ResolvedOptions['reconnect'] {
  const isObject = typeof reconnect === 'object' && reconnect !== null;
  if (!isObject)
    checks.report(
      'reconnect',
      reconnect,
      '{ policy?, minDelayMs?, maxDelayMs?, factor?, jitter?, stableAfterMs?, preferFirst?, retry? }',
    );
  const given = isObject ? reconnect : {};
  checks.unknownKeys('reconnect.', given, [
    'policy',
    'minDelayMs',
    'maxDelayMs',
    'factor',
    'jitter',
    'stableAfterMs',
    'preferFirst',
    'retry',
  ]);
  if (given.retry !== undefined && typeof given.retry !== 'function')
    checks.report('reconnect.retry', given.retry, 'a function');
  const minDelayMs = checks.number('reconnect.minDelayMs', given.minDelayMs, 1, HOUR_MS, 1_000);
  return Object.freeze({
    policy: checks.oneOf(
      'reconnect.policy',
      given.policy,
      ['never', 'after-first-success', 'always'] as const,
      'after-first-success',
    ),
    minDelayMs,
    maxDelayMs: checks.number(
      'reconnect.maxDelayMs',
      given.maxDelayMs,
      minDelayMs,
      DAY_MS,
      Math.max(120_000, minDelayMs),
    ),
    factor: checks.number('reconnect.factor', given.factor, 1, 10, 2),
    jitter: checks.oneOf('reconnect.jitter', given.jitter, ['full', 'none'] as const, 'full'),
    stableAfterMs: checks.number('reconnect.stableAfterMs', given.stableAfterMs, 0, DAY_MS, 30_000),
    preferFirst: resolvePreferFirst(given.preferFirst, checks),
    retry: given.retry,
  });
}

function resolvePreferFirst(
  preferFirst: ReconnectOptions['preferFirst'],
  checks: OptionChecks,
): ResolvedOptions['reconnect']['preferFirst'] {
  if (preferFirst === undefined || preferFirst === false) return undefined;
  const isObject = typeof preferFirst === 'object' && preferFirst !== null;
  if (!isObject && typeof preferFirst !== 'boolean')
    checks.report('reconnect.preferFirst', preferFirst, 'true, false or { returnAfterMs }');
  const given = isObject ? preferFirst : {};
  checks.unknownKeys('reconnect.preferFirst.', given, ['returnAfterMs']);
  const option = 'reconnect.preferFirst.returnAfterMs';
  return { returnAfterMs: checks.number(option, given.returnAfterMs, 1_000, DAY_MS, FIVE_MINUTES_MS) };
}
