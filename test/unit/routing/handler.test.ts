import { describe, expect, it } from 'vitest';
import { registerHandler, type HandlerDefaults } from '../../../lib/routing/handler.js';
import { defaultPayload } from '../../../lib/serialization/payload-settings.js';
import { defaultSettlement } from '../../../lib/settlement/settlement-settings.js';

const defaults: HandlerDefaults = {
  qos: 1,
  settlement: { ...defaultSettlement, concurrency: 3 },
  isSessionResumed: true,
  payload: defaultPayload,
};
const register = (extras: Record<string, unknown>, pattern = 'a/+x') =>
  registerHandler(pattern, async () => undefined, true, extras, 0, defaults);

describe('handler options', () => {
  it('default to those of the module', () => {
    const handler = register({});

    expect(handler).toMatchObject({
      settlement: { acknowledge: 'after-handler' },
      subscribe: { qos: 1 },
      isEvent: true,
    });
    expect(handler.settlement.gate?.limit).toBe(3);
  });

  it('are read from the extras of Nest, next to those of others', () => {
    const handler = register({
      qos: 2,
      share: 'g',
      acknowledge: 'manual',
      concurrency: 1,
      retainHandling: 2,
      otherPackage: {},
    });

    expect(handler).toMatchObject({
      settlement: { acknowledge: 'manual' },
      subscribe: { qos: 2, retainHandling: 2 },
      pattern: { subscription: '$share/g/a/+' },
    });
    expect(handler.settlement.gate?.limit).toBe(1);
  });

  it('share the group of the module unless they name one, or none', () => {
    const subscription = (pattern: string, extras: Record<string, unknown>): string =>
      registerHandler(pattern, async () => undefined, true, extras, 0, { ...defaults, share: 'all' }).pattern
        .subscription;

    expect(subscription('a/+x', {})).toBe('$share/all/a/+');
    expect(subscription('a/+x', { share: 'own' })).toBe('$share/own/a/+');
    expect(subscription('a/+x', { share: false })).toBe('a/+');
    expect(subscription('$share/written/a/+x', {})).toBe('$share/written/a/+');
  });

  it.each([
    ['qos', 3],
    ['qos', '1'],
    ['share', 1],
    ['noLocal', 'yes'],
    ['retainAsPublished', 1],
    ['retainHandling', 3],
    ['acknowledge', 'later'],
    ['concurrency', 0],
    ['concurrency', 1.5],
    ['concurrency', 70_000],
  ])('name a wrong %s (%j)', (option, value) => {
    expect(() => register({ [option]: value })).toThrow(`${option} of the handler for "a/+x"`);
  });

  it('report all mistakes at once', () => {
    expect(() => register({ qos: 3, acknowledge: 'later' })).toThrow(/qos.*acknowledge/);
  });
});
