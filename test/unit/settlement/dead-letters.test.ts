import { describe, expect, it } from 'vitest';
import { runtimeWith, type Declared } from './runtime-harness.js';

const failing = (
  options: Record<string, unknown>,
  thrown: { error: unknown } = { error: new Error('broken') },
): Declared => ({
  options,
  handle: () => {
    throw thrown.error;
  },
});

describe('a dead letter', () => {
  it('is on the broker before its message is acknowledged', async () => {
    const at = await runtimeWith([failing({ deadLetter: 'dead/{topic}', retry: { attempts: 2, minDelayMs: 10 } })]);

    await at.deliver(1, '{"value":1}', {
      properties: {
        contentType: 'application/json',
        responseTopic: undefined,
        userProperties: { traceparent: '00-ab-cd-01', tracestate: 'x=1' },
        messageExpiryInterval: 60,
      },
    });
    await at.clock.advance(10);
    const letter = await at.connection.next('publish');
    await at.connection.nothing(at.clock);

    expect(letter).toMatchObject({ topic: 'dead/t/a', qos: 1, retain: false, payload: Buffer.from('{"value":1}') });
    expect(letter.properties).toEqual({
      contentType: 'application/json',
      userProperties: {
        traceparent: '00-ab-cd-01',
        tracestate: 'x=1',
        'dead-letter-topic': 't/a',
        'dead-letter-handler': 't/#',
        'dead-letter-error': 'broken',
        'dead-letter-attempts': '2',
        'dead-letter-qos': '1',
      },
    });
    at.connection.puback(letter);
    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    await at.clock.settle();
    expect(at.runtime.stats()).toMatchObject({ deadLettered: 1, failed: 1, rejected: 0, running: 0 });
    expect(at.log.map(({ text }) => text)).toEqual([
      'handler of "t/#" failed on "t/a" (attempt 2 of 2): broken; its dead letter is on "dead/t/a"',
    ]);
  });

  it.each([
    ['text', Buffer.from('grün'), { encoding: 'utf8', payload: 'grün' }],
    ['other bytes', Buffer.from([0xff, 0x00, 0x80]), { encoding: 'base64', payload: '/wCA' }],
  ])('is an envelope on MQTT 3.1.1: %s', async (_name, payload, expected) => {
    const at = await runtimeWith([failing({ deadLetter: { topic: 'dead', qos: 2, retain: true } })], {
      loop: { protocolVersion: 4 },
    });

    await at.deliver(1, payload);
    const letter = await at.connection.next('publish');

    expect(letter).toMatchObject({ topic: 'dead', qos: 2, retain: true });
    expect(JSON.parse(letter.payload.toString())).toEqual({
      topic: 't/a',
      handler: 't/#',
      error: 'broken',
      attempts: 1,
      qos: 1,
      ...expected,
    });
    at.connection.pubrec(letter);
    at.connection.pubcomp(await at.connection.next('pubrel'));
    await at.connection.next('puback');
  });

  it('has the metadata of a Nest envelope, which is where a trace is on MQTT 3.1.1', async () => {
    const at = await runtimeWith([failing({ deadLetter: 'dead' })], { loop: { protocolVersion: 4 } });

    await at.deliver(1, '{"pattern":"t/a","data":1,"metadata":{"traceparent":"00-ab-cd-01"}}');
    const letter = await at.connection.next('publish');

    expect(JSON.parse(letter.payload.toString())).toMatchObject({ metadata: { traceparent: '00-ab-cd-01' } });
    at.connection.puback(letter);
    await at.connection.next('puback');
  });

  it.each([
    ['a long error is cut', new Error('x'.repeat(100_000)), `${'x'.repeat(1_023)}…`],
    ['what MQTT forbids in a string is replaced', new Error('a\0b\ud800c'), 'a\ufffdb\ufffdc'],
    ['no error at all', undefined, 'undefined'],
  ])('%s', async (_name, error, expected) => {
    const at = await runtimeWith([failing({ deadLetter: 'dead' }, { error })]);

    await at.deliver(1);
    const letter = await at.connection.next('publish');

    expect(letter.properties?.userProperties).toMatchObject({ 'dead-letter-error': expected });
    at.connection.puback(letter);
    await at.connection.next('puback');
  });

  it('that the broker refuses is tried again and again; until then the message stays unacknowledged', async () => {
    const at = await runtimeWith([failing({ deadLetter: 'dead' })]);
    await at.deliver(1);
    for (let tries = 1; tries <= 3; tries++) {
      at.connection.puback(await at.connection.next('publish'), { reasonCode: 0x87 });
      await at.connection.nothing(at.clock);
      expect(at.runtime.stats()).toMatchObject({ deadLetterFailures: tries, deadLettered: 0, running: 1 });
      await at.clock.advance(60_000);
    }

    at.connection.puback(await at.connection.next('publish'));

    await at.connection.next('puback');
    expect(at.runtime.stats()).toMatchObject({ deadLettered: 1, failed: 1 });
    expect(at.log[0]?.text).toMatch(
      /^dead letter on "dead" could not be published: .*not authorized.*stays unacknowledged.*check the access rules/,
    );
  });

  it('that waits for the connection does not lose its message', async () => {
    let fail!: () => void;
    const at = await runtimeWith([
      {
        options: { deadLetter: 'dead' },
        handle: () => new Promise((_resolve, reject) => (fail = () => reject(new Error('broken')))),
      },
    ]);
    await at.deliver(1, 'x', { qos: 2 });
    at.connection.cut();
    await at.clock.settle();
    fail();
    await at.clock.advance(100);

    const second = await at.broker.acceptConnected({ sessionPresent: true });
    const letter = await second.next('publish');
    second.publish({ topic: 't/a', payload: 'x', qos: 2, messageId: 1, dup: true });
    await second.nothing(at.clock);
    second.puback(letter);

    expect((await second.next('pubrec')).reasonCode ?? 0).toBe(0);
  });

  it('is never made of a dead letter: it is refused as if there were no such topic', async () => {
    const at = await runtimeWith([{ ...failing({ deadLetter: 'dead/{topic}' }), pattern: '#' }]);

    await at.deliver(1, 'x', { topic: 'dead/t/a' });

    expect(await at.connection.next('puback')).toMatchObject({ reasonCode: 0x80 });
    await at.connection.nothing(at.clock);
  });

  it('is made of QoS 0 messages too', async () => {
    const at = await runtimeWith([failing({ deadLetter: 'dead' })]);

    await at.deliver(0, 'x', { qos: 0, messageId: undefined });

    at.connection.puback(await at.connection.next('publish'));
    await at.clock.settle();
    expect(at.runtime.stats()).toMatchObject({ deadLettered: 1, running: 0 });
  });

  it('of one handler waits for the others before the message is acknowledged', async () => {
    let end!: () => void;
    const at = await runtimeWith([
      failing({ deadLetter: 'dead' }),
      { handle: () => new Promise<void>((resolve) => (end = resolve)) },
    ]);
    await at.deliver(1);
    at.connection.puback(await at.connection.next('publish'));
    await at.connection.nothing(at.clock);

    end();

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
  });
});
