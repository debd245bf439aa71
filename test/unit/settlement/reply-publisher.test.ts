import { from, NEVER, Observable, of, range } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { MqttClosedError, MqttPacketTooLargeError } from '../../../lib/eventloop/errors.js';
import type { Delivery, IncomingMessage } from '../../../lib/eventloop/messages.js';
import { autoCodec } from '../../../lib/serialization/codec.js';
import type { ReplyTarget } from '../../../lib/serialization/incoming.js';
import { ReplyPublisher } from '../../../lib/settlement/reply-publisher.js';

const target: ReplyTarget = {
  request: {} as IncomingMessage,
  topic: 't/reply',
  correlationData: undefined,
  id: 'x',
  qos: 0,
  hasProperties: false,
  codec: autoCodec,
};

/** Stands in for the event loop: takes messages, or refuses them as it is told. */
function setup(refuse: (payload: string) => Error | undefined = () => undefined, refuseLater = refuse) {
  const sent: unknown[] = [];
  const failures: unknown[] = [];
  const loop = {
    async enqueue(_topic: string, payload: Uint8Array | string): Promise<Delivery> {
      const error = refuse(payload as string);
      if (error !== undefined) throw error;
      const later = refuseLater(payload as string);
      if (later === undefined) sent.push(JSON.parse(payload as string));
      return { completed: later === undefined ? Promise.resolve({ qos: 0, reasonCode: 0 }) : Promise.reject(later) };
    },
  };
  return { sent, failures, publisher: new ReplyPublisher(loop, (_target, error) => failures.push(error)) };
}

describe('replies', () => {
  it('of a source that completes at once are one message', async () => {
    const { publisher, sent } = setup();

    await publisher.stream(target, of(1));

    expect(sent).toEqual([{ response: 1, isDisposed: true, id: 'x' }]);
  });

  it('leave in order, the last one with the end', async () => {
    const { publisher, sent } = setup();

    await publisher.stream(target, from([1, 2, 3]));

    expect(sent).toEqual([
      { response: 1, id: 'x' },
      { response: 2, id: 'x' },
      { response: 3, isDisposed: true, id: 'x' },
    ]);
  });

  it('end with a message of its own where the last value has left', async () => {
    const { publisher, sent } = setup();

    await publisher.stream(
      target,
      new Observable((observer) => {
        observer.next(1);
        setImmediate(() => observer.complete());
      }),
    );

    expect(sent).toEqual([
      { response: 1, id: 'x' },
      { isDisposed: true, id: 'x' },
    ]);
  });

  it('bring the error after the values before it', async () => {
    const { publisher, sent } = setup();

    await publisher.stream(
      target,
      new Observable((observer) => {
        observer.next(1);
        observer.error('no');
      }),
    );

    expect(sent).toEqual([
      { response: 1, id: 'x' },
      { err: 'no', isDisposed: true, id: 'x' },
    ]);
  });

  it('are cut off with an error when the source runs away from the broker', async () => {
    const { publisher, sent } = setup();

    await publisher.stream(target, range(0, 20_000));

    expect(sent).toHaveLength(10_001);
    expect(sent.at(-1)).toMatchObject({ err: { message: expect.stringContaining('faster') }, isDisposed: true });
  });

  it.each([
    ['at once', setup((payload) => (payload.includes('big') ? tooLarge() : undefined))],
    [
      'later',
      setup(
        () => undefined,
        (payload) => (payload.includes('big') ? tooLarge() : undefined),
      ),
    ],
  ])(
    'that are too large become an error for the requester (refused %s)',
    async (_when, { publisher, sent, failures }) => {
      await publisher.send(target, { response: 'big', isDisposed: true });

      await expect
        .poll(() => sent)
        .toEqual([
          { err: { status: 'error', message: expect.stringContaining('exceeds') }, isDisposed: true, id: 'x' },
        ]);
      expect(failures).toHaveLength(1);
    },
  );

  it('that have no JSON form become an error for the requester', async () => {
    const { publisher, sent, failures } = setup();

    await publisher.send(target, { response: 1n, isDisposed: true });

    expect(sent).toEqual([
      { err: { status: 'error', message: expect.stringContaining('invalid response') }, isDisposed: true, id: 'x' },
    ]);
    expect(failures).toHaveLength(1);
  });

  it('that cannot be sent at all are reported, and nothing rejects', async () => {
    const { publisher, sent, failures } = setup(() => new MqttClosedError());

    await publisher.send(target, { response: 1, isDisposed: true });
    await publisher.stream(target, from([1, 2]));

    expect(sent).toEqual([]);
    expect(failures).toHaveLength(3);
  });

  it('of a source that never ends are not awaited', async () => {
    const { publisher, sent } = setup();

    const ended = publisher.stream(target, NEVER);

    await expect(Promise.race([ended, Promise.resolve('open')])).resolves.toBe('open');
    expect(sent).toEqual([]);
  });
});

function tooLarge(): Error {
  return new MqttPacketTooLargeError(2, 1, 'server');
}
