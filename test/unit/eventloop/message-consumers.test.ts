import { expect, test } from 'vitest';
import { MqttStateError } from '../../../lib/eventloop/errors.js';
import { MessageConsumers } from '../../../lib/eventloop/message-consumers.js';
import type { IncomingMessage } from '../../../lib/eventloop/messages.js';
import { NOT_CONSUMED } from '../../../lib/eventloop/session/incoming.js';

/** Delivers messages, as the session does, and knows how each one was settled. */
class Deliveries {
  readonly unmatched: string[] = [];
  readonly consumers = new MessageConsumers((message) => this.unmatched.push(message.topic));
  readonly settled: string[] = [];

  deliver(topic: string): void {
    const message = { topic } as IncomingMessage;
    let result: unknown;
    try {
      result = this.consumers.deliver(message);
    } catch (error) {
      this.settled.push(`${topic} ${outcome(error)}`);
      return;
    }
    if (!(result instanceof Promise)) this.settled.push(`${topic} done`);
    else {
      result.then(
        () => this.settled.push(`${topic} done`),
        (error: unknown) => this.settled.push(`${topic} ${outcome(error)}`),
      );
    }
  }
}

function outcome(error: unknown): string {
  return error === NOT_CONSUMED ? 'left to the broker' : (error as Error).message;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

async function topicOf(pull: Promise<IteratorResult<IncomingMessage>>): Promise<string | undefined> {
  const { value, done } = await pull;
  return done === true ? undefined : value.topic;
}

test('messages wait until somebody listens, and are handed over in order', async () => {
  const it = new Deliveries();
  for (const topic of ['a', 'b', 'c']) it.deliver(topic);
  await settle();
  expect(it.settled).toEqual([]);
  const handled: string[] = [];
  it.consumers.setHandler(({ topic }) => {
    handled.push(topic);
    if (topic === 'b') throw new Error('no');
  });
  await settle();
  expect(handled).toEqual(['a', 'b', 'c']);
  expect(it.settled.toSorted()).toEqual(['a done', 'b no', 'c done']);
});

test('what a handler returns or throws reaches the session as it is', () => {
  const it = new Deliveries();
  const result = Promise.resolve();
  it.consumers.setHandler(() => result);
  expect(it.consumers.deliver({ topic: 'a' } as IncomingMessage)).toBe(result);
});

test('there is one handler at a time; removed, the messages wait for the next one', async () => {
  const it = new Deliveries();
  const remove = it.consumers.setHandler(() => undefined);
  expect(() => it.consumers.setHandler(() => undefined)).toThrow(MqttStateError);
  remove();
  it.deliver('a');
  await settle();
  expect(it.settled).toEqual([]);
  it.consumers.setHandler(() => undefined);
  await settle();
  expect(it.settled).toEqual(['a done']);
  // Belongs to the first one.
  remove();
  it.deliver('b');
  expect(it.settled).toEqual(['a done', 'b done']);
});

test('asking an iterator for the next message settles the one before', async () => {
  const it = new Deliveries();
  const iterator = it.consumers.iterate(undefined);
  for (const topic of ['a', 'b', 'c']) it.deliver(topic);
  expect(await topicOf(iterator.next())).toBe('a');
  await settle();
  expect(it.settled).toEqual([]);
  expect(await topicOf(iterator.next())).toBe('b');
  expect(it.settled).toEqual(['a done']);
  expect(await topicOf(iterator.next())).toBe('c');
  const waiting = topicOf(iterator.next());
  await settle();
  expect(it.settled).toEqual(['a done', 'b done', 'c done']);
  it.deliver('d');
  expect(await waiting).toBe('d');
});

test('several pulls at a time get a message each, and none is forgotten', async () => {
  const it = new Deliveries();
  const iterator = it.consumers.iterate(undefined);
  const pulls = [iterator.next(), iterator.next(), iterator.next()].map((pull) => topicOf(pull));
  for (const topic of ['a', 'b', 'c']) it.deliver(topic);
  expect(await Promise.all(pulls)).toEqual(['a', 'b', 'c']);
  await iterator.return!();
  await settle();
  expect(it.settled.toSorted()).toEqual(['a done', 'b done', 'c done']);
});

test('leaving an iterator settles the message at hand and hands the others on', async () => {
  const it = new Deliveries();
  const leaving = it.consumers.iterate(undefined);
  for (const topic of ['a', 'b', 'c']) it.deliver(topic);
  expect(await topicOf(leaving.next())).toBe('a');
  const staying = it.consumers.iterate(undefined);
  await leaving.return!();
  await settle();
  expect(it.settled).toEqual(['a done']);
  expect(await topicOf(staying.next())).toBe('b');
  expect(await topicOf(staying.next())).toBe('c');
  expect(await topicOf(leaving.next())).toBeUndefined();
});

test('leaving the only iterator lets them wait for the next consumer', async () => {
  const it = new Deliveries();
  for await (const { topic } of bounded(
    it.consumers.iterate(undefined),
    () => it.deliver('a'),
    () => it.deliver('b'),
  )) {
    expect(topic).toBe('a');
    break;
  }
  await settle();
  expect(it.settled).toEqual(['a done']);
  const handled: string[] = [];
  it.consumers.setHandler(({ topic }) => void handled.push(topic));
  await settle();
  expect(handled).toEqual(['b']);
  expect(it.settled).toEqual(['a done', 'b done']);
});

test('a message that several consumers take is settled when all of them have', async () => {
  const it = new Deliveries();
  let finish = (): void => undefined;
  it.consumers.setHandler(() => new Promise<void>((resolve) => (finish = resolve)));
  const iterators = [it.consumers.iterate(undefined), it.consumers.iterate('a/+')];
  it.deliver('a/b');
  expect(await Promise.all(iterators.map((iterator) => topicOf(iterator.next())))).toEqual(['a/b', 'a/b']);
  finish();
  void iterators[0]!.next();
  await settle();
  expect(it.settled).toEqual([]);
  void iterators[1]!.next();
  await settle();
  expect(it.settled).toEqual(['a/b done']);
});

test('an iterator with a filter takes what matches it, by the rules of topics', async () => {
  const it = new Deliveries();
  const iterator = it.consumers.iterate('plant/+/state');
  it.consumers.setHandler(() => undefined);
  for (const topic of ['plant/1/state', 'plant/1', 'other', 'plant/2/state']) it.deliver(topic);
  expect(await topicOf(iterator.next())).toBe('plant/1/state');
  expect(await topicOf(iterator.next())).toBe('plant/2/state');
  expect(it.settled).toEqual(['plant/1 done', 'other done', 'plant/1/state done']);
  expect(it.unmatched).toEqual([]);
});

test('a handler that throws beside an iterator refuses the message and leaves no rejection behind', async () => {
  const it = new Deliveries();
  it.consumers.iterate(undefined);
  it.consumers.setHandler(() => {
    throw new Error('no');
  });
  it.deliver('a');
  await settle();
  expect(it.settled).toEqual(['a no']);
  // Without anybody listening the iterator's rejection would be an unhandled one, which ends the test run.
  it.consumers.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(it.settled).toEqual(['a no']);
});

test('closing ends the iterators after their message, and leaves what waits to the broker', async () => {
  const it = new Deliveries();
  const iterator = it.consumers.iterate(undefined);
  for (const topic of ['a', 'b', 'c']) it.deliver(topic);
  expect(await topicOf(iterator.next())).toBe('a');
  it.consumers.close();
  await settle();
  expect(it.settled).toEqual(['b left to the broker', 'c left to the broker']);
  expect(await topicOf(iterator.next())).toBeUndefined();
  expect(it.settled).toEqual(['b left to the broker', 'c left to the broker', 'a done']);
});

test('closing leaves what is parked to the broker, and what comes later', async () => {
  const it = new Deliveries();
  it.deliver('a');
  it.consumers.close();
  it.deliver('b');
  await settle();
  expect(it.settled.toSorted()).toEqual(['a left to the broker', 'b left to the broker']);
  expect(await topicOf(it.consumers.iterate(undefined).next())).toBeUndefined();
});

test('a pull that waits ends when the consumers are closed or the iterator is left', async () => {
  const it = new Deliveries();
  const closed = it.consumers.iterate(undefined);
  const left = it.consumers.iterate(undefined);
  const pulls = [topicOf(closed.next()), topicOf(left.next())];
  await left.return!();
  it.consumers.close();
  expect(await Promise.all(pulls)).toEqual([undefined, undefined]);
});

/** An iterator for which these things happen first. */
function bounded<T>(iterator: AsyncIterableIterator<T>, ...first: (() => void)[]): AsyncIterableIterator<T> {
  for (const act of first) act();
  return iterator;
}

test('what waits and no iterator takes goes on waiting for the consumer that does', async () => {
  const it = new Deliveries();
  for (const topic of ['a/1', 'b/1']) it.deliver(topic);
  const first = it.consumers.iterate('a/#');
  const second = it.consumers.iterate('b/#');
  expect(await topicOf(first.next())).toBe('a/1');
  expect(await topicOf(second.next())).toBe('b/1');
  expect(it.unmatched).toEqual([]);
});
