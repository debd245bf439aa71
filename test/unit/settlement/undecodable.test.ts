import type { MqttCodec, MqttDecodeError } from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { runtimeWith, type Declared } from './runtime-harness.js';

const calls: unknown[] = [];

function declared(options: Record<string, unknown>, more: Partial<Declared> = {}): Declared {
  calls.length = 0;
  return { options: { codec: 'json', ...options }, handle: (data) => void calls.push(data), ...more };
}

describe('a payload that cannot be decoded', () => {
  it.each<[string, Record<string, unknown>, number]>([
    ['is refused as a handler that fails, by default', {}, 0x80],
    [
      'is refused as the failure policy says, and not tried again',
      { retry: {}, onFailure: { action: 'reject', reasonCode: 0x83 } },
      0x83,
    ],
    ['is acknowledged where failures are', { onFailure: 'acknowledge' }, 0],
    ['is refused for its format', { onUndecodable: 'reject' }, 0x99],
    ['is acknowledged', { onUndecodable: 'acknowledge', onFailure: 'reject' }, 0],
    ['is what a function says', { onUndecodable: () => 'acknowledge' }, 0],
    ['is what a function says later', { onUndecodable: async () => 'reject' }, 0x99],
    ['is refused while the handler settles by hand', { acknowledge: 'manual', onUndecodable: 'reject' }, 0x99],
  ])('%s', async (_what, options, reasonCode) => {
    const at = await runtimeWith([declared(options)]);

    await at.deliver(1, '{broken');
    const ack = await at.connection.next('puback');

    expect(ack.reasonCode ?? 0).toBe(reasonCode);
    expect(calls).toEqual([]);
    expect(at.runtime.stats()).toMatchObject({ undecodable: 1, failed: 0, retried: 0, running: 0 });
    expect(at.undecodable).toMatchObject([{ topic: 't/a', error: { code: 'MQTT_UNDECODABLE', codec: 'json' } }]);
    expect(at.log).toHaveLength(1);
    expect(at.log[0]?.text).toContain('the payload cannot be decoded by codec "json": it is not JSON; it is ');
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['the topic of deadLetter', { deadLetter: 'graves/{topic}' }, 'graves/t/a'],
    [
      'the topic of deadLetter, by option',
      { deadLetter: 'graves/{topic}', onUndecodable: 'dead-letter' },
      'graves/t/a',
    ],
    ['dead/{topic} where there is no other', { onUndecodable: 'dead-letter' }, 'dead/t/a'],
  ])('goes to %s as it came, and is acknowledged when the broker has it', async (_what, options, topic) => {
    const at = await runtimeWith([declared(options)]);

    await at.deliver(1, Buffer.from([0xff, 0x00]));
    const letter = await at.connection.next('publish');
    await at.connection.nothing(at.clock);

    expect(letter).toMatchObject({ topic, payload: Buffer.from([0xff, 0x00]) });
    expect(letter.properties?.userProperties).toMatchObject({ 'dead-letter-attempts': '1' });
    at.connection.puback(letter);
    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(at.runtime.stats()).toMatchObject({ undecodable: 1, deadLettered: 1 });
  });

  it('is not buried a second time', async () => {
    const at = await runtimeWith([declared({ onUndecodable: 'dead-letter' }, { pattern: 'dead/#' })]);

    await at.deliver(1, '{broken', { topic: 'dead/t/a' });

    expect((await at.connection.next('puback')).reasonCode).toBe(0x80);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no idea');
      },
      'no idea',
    ],
    ['rejects', () => Promise.reject(new Error('no idea')), 'no idea'],
    ['says something else', () => 'burn', 'expected "reject", "dead-letter" or "acknowledge"'],
  ])('is left to the failure policy by a function that %s', async (_what, onUndecodable, reason) => {
    const at = await runtimeWith([declared({ onUndecodable, onFailure: 'acknowledge' })]);

    await at.deliver(1, '{broken');

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(at.log[0]?.text).toContain('onUndecodable of the handler for "t/#" failed: ');
    expect(at.log[0]?.text).toContain(reason);
  });

  it('is shown to the function with what is known about it', async () => {
    const seen: [string, MqttDecodeError][] = [];
    const onUndecodable = (message: { topic: string }, error: MqttDecodeError): string => {
      seen.push([message.topic, error]);
      return 'acknowledge';
    };
    const at = await runtimeWith([declared({ onUndecodable })]);

    await at.deliver(1, '{broken', { properties: { contentType: 'text/x' } });
    await at.connection.next('puback');

    expect(seen).toMatchObject([['t/a', { topic: 't/a', codec: 'json', contentType: 'text/x' }]]);
  });

  it('does not keep another handler, with another codec, from it', async () => {
    const texts: unknown[] = [];
    const at = await runtimeWith([
      declared({}),
      { options: { codec: 'text' }, handle: (data) => void texts.push(data) },
      { options: { codec: 'raw' }, handle: (data) => void texts.push(data) },
    ]);

    await at.deliver(1, '{broken');

    expect((await at.connection.next('puback')).reasonCode).toBe(0x80);
    expect(texts).toEqual(['{broken', Buffer.from('{broken')]);
    expect(calls).toEqual([]);
  });

  it('is decoded once for handlers with one codec, and again for a retry', async () => {
    let decoded = 0;
    const own: MqttCodec = {
      encode: () => new Uint8Array(),
      decode: (payload) => {
        decoded++;
        return payload.toString();
      },
    };
    const results: (() => void)[] = [
      () => {
        throw new Error('once');
      },
      () => undefined,
      () => undefined,
    ];
    const handle = (): void => results.shift()!();
    const at = await runtimeWith([
      { options: { codec: own, retry: { attempts: 2, minDelayMs: 10 } }, handle },
      { options: { codec: own }, handle },
    ]);

    await at.deliver(1);
    expect(decoded).toBe(1);
    await at.clock.advance(10);

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(decoded).toBe(2);
  });

  it('may come by the hundred at once: each is settled, the service lives', async () => {
    const at = await runtimeWith([declared({ concurrency: 1, ordering: 'topic', onUndecodable: 'reject' })]);

    for (let id = 1; id <= 100; id++) at.connection.publish({ topic: 't/a', payload: '{', qos: 1, messageId: id });
    await at.clock.settle();
    for (let id = 1; id <= 100; id++)
      expect(await at.connection.next('puback')).toMatchObject({ messageId: id, reasonCode: 0x99 });
    await at.deliver(101, '{"a":1}');

    expect((await at.connection.next('puback')).reasonCode ?? 0).toBe(0);
    expect(calls).toEqual([{ a: 1 }]);
    expect(at.runtime.stats()).toMatchObject({ undecodable: 100, running: 0 });
    expect(at.log.length).toBeLessThan(20);
  });

  it('of a request is answered with an error', async () => {
    const at = await runtimeWith([declared({ onUndecodable: 'reject' }, { isRequest: true })]);

    await at.deliver(1, '{broken', { properties: { responseTopic: 'inbox', correlationData: Buffer.from('c') } });
    const ack = await at.connection.next('puback');
    const reply = await at.connection.next('publish');

    expect(reply).toMatchObject({
      topic: 'inbox',
      properties: { correlationData: Buffer.from('c'), userProperties: { 'nest-status': 'error' } },
    });
    expect(JSON.parse(reply.payload.toString())).toEqual({
      status: 'error',
      message: 'the payload cannot be decoded by codec "json"',
    });
    expect(ack.reasonCode ?? 0).toBe(0);
    expect(at.runtime.stats()).toMatchObject({ undecodable: 1, running: 0 });
  });
});

it('wrong options are named, all at once', async () => {
  const options = { codec: 'yaml', onUndecodable: 'burn' };

  await expect(runtimeWith([{ options, handle: () => undefined }])).rejects.toThrow(
    /codec of the handler for "t\/#" is .*yaml.*onUndecodable of the handler for "t\/#" is 'burn', expected "reject"/s,
  );
});
