import { describe, expect, test } from 'vitest';
import {
  MqttConnectionError,
  MqttConnectionRefusedError,
  MqttServerDisconnectError,
} from '../../../../lib/eventloop/connection-errors.js';
import { MqttError, MqttStateError } from '../../../../lib/eventloop/errors.js';
import { Backoff, type BackoffOptions } from '../../../../lib/eventloop/reconnect/backoff.js';

const OPTIONS: BackoffOptions = {
  minDelayMs: 1_000,
  maxDelayMs: 120_000,
  factor: 2,
  jitter: 'full',
  stableAfterMs: 30_000,
};
const LOST = new MqttConnectionError('MQTT_CONNECTION_LOST', 'lost');
const TAKEN_OVER = new MqttServerDisconnectError(0x8e, 'session taken over');
const MOST = 1 - Number.EPSILON;

function delays(options: Partial<BackoffOptions>, random: () => number, count: number, error: MqttError = LOST) {
  const backoff = new Backoff({ ...OPTIONS, ...options }, random);
  return Array.from({ length: count }, (_, attempt) => backoff.next(error, attempt));
}

test('without jitter the delay doubles up to its cap', () => {
  expect(delays({ jitter: 'none' }, Math.random, 10)).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 120_000, 120_000, 120_000,
  ]);
});

test('the factor is the growth, and 1 is none', () => {
  expect(delays({ jitter: 'none', factor: 1.5 }, Math.random, 4)).toEqual([1_000, 1_500, 2_250, 3_375]);
  expect(delays({ jitter: 'none', factor: 1 }, Math.random, 3)).toEqual([1_000, 1_000, 1_000]);
});

test('full jitter is anything from 0 to the ceiling of its round', () => {
  expect(delays({}, () => 0, 3)).toEqual([0, 0, 0]);
  expect(delays({}, () => 0.5, 4)).toEqual([500, 1_000, 2_000, 4_000]);
  for (const [round, delayMs] of delays({}, () => MOST, 9).entries()) {
    const ceilingMs = Math.min(120_000, 1_000 * 2 ** round);
    expect(delayMs).toBeLessThanOrEqual(ceilingMs);
    expect(delayMs).toBeGreaterThan(ceilingMs * 0.999);
  }
});

test('a takeover waits half the ceiling at least: two clients must not wrest the session from each other', () => {
  expect(delays({}, () => 0, 3, TAKEN_OVER)).toEqual([500, 1_000, 2_000]);
  expect(delays({}, () => 0.5, 3, TAKEN_OVER)).toEqual([750, 1_500, 3_000]);
});

test('a thousand failures and more stay at the cap', () => {
  const many = delays({ jitter: 'none', factor: 10 }, Math.random, 3_000);
  expect(many.at(-1)).toBe(120_000);
  expect(new Set(many.slice(10))).toEqual(new Set([120_000]));
});

describe('the delay falls back', () => {
  test('after a connection that lasted, and not after one that did not', () => {
    const backoff = new Backoff({ ...OPTIONS, jitter: 'none' }, Math.random);
    expect([backoff.next(LOST, 1), backoff.next(LOST, 2), backoff.next(LOST, 3)]).toEqual([1_000, 2_000, 4_000]);
    backoff.connectionEnded(29_999);
    expect(backoff.next(LOST, 0)).toBe(8_000);
    backoff.connectionEnded(30_000);
    expect(backoff.next(LOST, 0)).toBe(1_000);
    expect(backoff.next(LOST, 1)).toBe(2_000);
  });

  test('when somebody asks for a connection', () => {
    const backoff = new Backoff({ ...OPTIONS, jitter: 'none' }, Math.random);
    backoff.next(LOST, 1);
    backoff.next(LOST, 2);
    backoff.reset();
    expect(backoff.next(LOST, 1)).toBe(1_000);
  });
});

test('other options count for the next delay, in the round that was reached', () => {
  const backoff = new Backoff({ ...OPTIONS, jitter: 'none' }, Math.random);
  backoff.next(LOST, 1);
  backoff.configure({ ...OPTIONS, jitter: 'none', minDelayMs: 10 });
  expect(backoff.next(LOST, 2)).toBe(20);
});

test('a permanent refusal stops, a transient one does not', () => {
  expect(delays({}, () => 0.5, 1, new MqttConnectionRefusedError(0x8a, 'banned', 's'))).toEqual(['stop']);
  expect(delays({}, () => 0.5, 1, new MqttConnectionRefusedError(0x88, 'unavailable', 's'))).toEqual([500]);
});

describe('the retry hook', () => {
  test('is asked with error and attempt, and decides a delay, a stop, or nothing', () => {
    const asked: [MqttError, number][] = [];
    const answers = [0, 12_345, 'stop', undefined] as const;
    const retry = (error: MqttError, attempt: number) => {
      asked.push([error, attempt]);
      return answers[attempt];
    };
    expect(delays({ retry, jitter: 'none' }, Math.random, 4)).toEqual([0, 12_345, 'stop', 8_000]);
    expect(asked).toEqual([0, 1, 2, 3].map((attempt) => [LOST, attempt]));
  });

  test('may go on where we would stop', () => {
    const banned = new MqttConnectionRefusedError(0x8a, 'banned', 's');
    expect(delays({ retry: () => 7 }, Math.random, 1, banned)).toEqual([7]);
  });

  test('that throws stops, with its error as the cause', () => {
    const thrown = new Error('bug');
    const [outcome] = delays(
      {
        retry: () => {
          throw thrown;
        },
      },
      Math.random,
      1,
    );
    expect(outcome).toBeInstanceOf(MqttStateError);
    expect(outcome).toMatchObject({ cause: thrown });
  });

  test.each([-1, Number.NaN, '5', null, Promise.resolve(1)])('that returns %j stops and says so', (answer) => {
    const [outcome] = delays({ retry: () => answer as never }, Math.random, 1);
    expect(outcome).toBeInstanceOf(MqttStateError);
    expect((outcome as MqttStateError).message).toContain('reconnect.retry');
  });
});
