import {
  acknowledgeFailures,
  deadLetterFailures,
  leaveFailures,
  rejectFailures,
  retryThenDeadLetter,
} from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { registerHandler } from '../../../lib/routing/handler.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement, type SettlementSettings } from '../../../lib/settlement/settlement-settings.js';

function settle(extras: object, settlement: SettlementSettings = defaultSettlement, isSessionResumed = true) {
  const defaults = { qos: 1, settlement, isSessionResumed, payload: defaultPayload } as const;
  return registerHandler('a/+x', async () => undefined, true, { ...extras }, 0, defaults).settlement;
}

describe('settlement options', () => {
  it('refuse failed messages unless they are told otherwise', () => {
    expect(settle({})).toMatchObject({
      acknowledge: 'after-handler',
      ordering: 'none',
      handlerTimeoutMs: 0,
      retry: undefined,
      deadLetter: undefined,
      onFailure: { action: 'reject', reasonCode: 0x80 },
    });
  });

  it('are those of the module where a handler does not choose, one by one', () => {
    const module = settle({ ...retryThenDeadLetter({ attempts: 7, deadLetter: 'bad/{topic}' }), ordering: 'topic' });

    const handler = settle({ retry: false, onFailure: 'acknowledge' }, module);

    expect(handler).toMatchObject({ retry: undefined, onFailure: { action: 'acknowledge' } });
    expect([handler.deadLetter?.topic.of('x'), handler.ordering]).toEqual(['bad/x', module.ordering]);
  });

  it('have defaults for what a retry leaves open', () => {
    expect(settle({ retry: {} }).retry).toEqual({
      attempts: 5,
      minDelayMs: 1_000,
      maxDelayMs: 60_000,
      factor: 2,
      jitter: 'full',
    });
    expect(settle({ retry: { minDelayMs: 100_000 } }).retry?.maxDelayMs).toBe(100_000);
  });

  it.each([
    ['retryThenDeadLetter', retryThenDeadLetter(), { retry: { attempts: 5 }, deadLetter: { qos: 1, retain: false } }],
    ['deadLetterFailures', deadLetterFailures('d'), { retry: undefined, deadLetter: { topic: { template: 'd' } } }],
    ['acknowledgeFailures', acknowledgeFailures(), { deadLetter: undefined, onFailure: { action: 'acknowledge' } }],
    ['rejectFailures', rejectFailures(0x99), { onFailure: { action: 'reject', reasonCode: 0x99 } }],
    ['leaveFailures', leaveFailures(), { onFailure: { action: 'leave', redeliverAfterMs: 60_000 } }],
    ['leaveFailures', leaveFailures({ redeliverAfterMs: 0 }), { onFailure: { action: 'leave', redeliverAfterMs: 0 } }],
  ])('are what %s says, whatever the module says', (_name, policy, expected) => {
    expect(settle(policy, settle({ ...retryThenDeadLetter({ attempts: 9 }), onFailure: 'acknowledge' }))).toMatchObject(
      { ...expected, ...('retry' in expected && expected.retry ? { retry: { attempts: 5 } } : {}) },
    );
  });

  it.each([
    ['acknowledge', 'later', 'one of'],
    ['concurrency', 0, 'an integer from 1 to 65535'],
    ['ordering', 'key', '"none", "topic" or a function'],
    ['handlerTimeoutMs', -1, 'an integer from 0'],
    ['handlerTimeoutMs', 1.5, 'an integer from 0'],
    ['retry', 3, 'an object such as { attempts: 5 }, or false'],
    ['retry', { attempts: 0 }, 'an integer from 1 to 1000', 'retry.attempts'],
    ['retry', { attempts: 1e9 }, 'an integer from 1 to 1000', 'retry.attempts'],
    ['retry', { minDelayMs: 0 }, 'an integer from 1', 'retry.minDelayMs'],
    ['retry', { minDelayMs: 50, maxDelayMs: 40 }, 'an integer from 50', 'retry.maxDelayMs'],
    ['retry', { factor: 0.5 }, 'a number from 1 to 100', 'retry.factor'],
    ['retry', { jitter: 'some' }, 'one of', 'retry.jitter'],
    ['retry', { when: 'never' }, 'a function that returns whether', 'retry.when'],
    ['retry', { retries: 3 }, 'no such option; known are attempts', 'retry.retries'],
    ['deadLetter', 5, 'a topic such as "dead/{topic}"'],
    ['deadLetter', 'dead/#', 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', '{topic}', 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', 'dead/{name}', 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', '{topic}/{topic}', 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', '$dead/{topic}', 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', '', 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', { topic: 7 }, 'a topic without wildcards', 'deadLetter.topic'],
    ['deadLetter', { qos: 3 }, 'one of 0, 1, 2', 'deadLetter.qos'],
    ['deadLetter', { retain: 'no' }, 'true or false', 'deadLetter.retain'],
    ['onFailure', 'drop', '"acknowledge", "reject", "leave"'],
    ['onFailure', null, '"acknowledge", "reject", "leave"'],
    ['onFailure', { action: 'reject', reasonCode: 0 }, 'a reason code that refuses', 'onFailure.reasonCode'],
    ['onFailure', { action: 'leave', redeliverAfterMs: 5 }, 'an integer from 1000', 'onFailure.redeliverAfterMs'],
    ['onFailure', { action: 'leave', soon: true }, 'no such option', 'onFailure.soon'],
  ])('name the handler, the mistake and the cure: %s = %j', (option, value, expected, named = option) => {
    expect(() => settle({ [option]: value })).toThrow(
      new RegExp(`${named.replace('.', '\\.')} of the handler for "a/\\+x" is .*, expected ${escaped(expected)}`),
    );
  });

  it('leave nothing to a broker that forgets it with the connection', () => {
    expect(() => settle(leaveFailures(), defaultSettlement, false)).toThrow(/onFailure .* clean: false/);
  });
});

function escaped(text: string): string {
  return text.replaceAll(/[{}"|().]/g, '\\$&');
}
