import { describe, expect, test } from 'vitest';
import {
  Admission,
  RequestQueue,
  type QueuedRequest,
  type RequestQueueLimits,
} from '../../../../lib/eventloop/admission/request-queue.js';
import { MqttClosedError, MqttPacketTooLargeError, type MqttError } from '../../../../lib/eventloop/errors.js';

class Request implements QueuedRequest<Request> {
  previous: Request | undefined;
  next: Request | undefined;
  admission: Admission = Admission.Outside;
  wasAdmitted = 0;
  error: MqttError | undefined;

  constructor(
    readonly name: string,
    readonly bytes: number,
  ) {}

  admitted(): void {
    this.wasAdmitted++;
  }

  fail(error: MqttError): void {
    this.error = error;
  }
}

/** A queue with what it has dropped, and what its requests say. */
function queueOf(limits: Partial<RequestQueueLimits>) {
  const dropped: string[] = [];
  const all = { requestCapacity: 3, requestCapacityBytes: 100, overflow: 'wait', maxWaiters: 2, ...limits } as const;
  const queue = new RequestQueue<Request>(all, (request, policy) => dropped.push(`${request.name} ${policy}`));
  const requests = new Map<string, Request>();
  const offer = (name: string, bytes = 1): Request => {
    const request = new Request(name, bytes);
    requests.set(name, request);
    queue.offer(request);
    return request;
  };
  const codes = (): object =>
    Object.fromEntries(
      [...requests.values()].filter(({ error }) => error).map(({ name, error }) => [name, error!.code]),
    );
  const drain = (): string[] => {
    const names: string[] = [];
    for (let request = queue.shift(); request !== undefined; request = queue.shift()) names.push(request.name);
    return names;
  };
  return { queue, all, dropped, requests, offer, codes, drain };
}

describe('overflow by count', () => {
  test('wait: those over the capacity are admitted one by one, in order, as there is room', () => {
    const { queue, offer, drain, codes } = queueOf({ overflow: 'wait' });
    for (const name of ['a', 'b', 'c', 'd', 'e']) offer(name);
    expect([queue.size, queue.waiting, queue.bytes]).toEqual([3, 2, 3]);
    expect(queue.shift()?.name).toBe('a');
    expect([queue.size, queue.waiting]).toEqual([3, 1]);
    expect(drain()).toEqual(['b', 'c', 'd', 'e']);
    expect(codes()).toEqual({});
  });

  test('wait: the line of those who wait is bounded', () => {
    const { queue, offer, requests } = queueOf({ overflow: 'wait', maxWaiters: 2 });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) offer(name);
    expect(queue.waiting).toBe(2);
    expect(requests.get('f')!.error).toMatchObject({ code: 'MQTT_QUEUE_FULL', limit: 'maxWaiters', limitValue: 2 });
    expect(requests.get('f')!.admission).toBe(Admission.Outside);
  });

  test('wait: with no line at all it rejects', () => {
    const { offer, codes } = queueOf({ overflow: 'wait', maxWaiters: 0, requestCapacity: 1 });
    offer('a');
    offer('b');
    expect(codes()).toEqual({ b: 'MQTT_QUEUE_FULL' });
  });

  test('reject: the new one fails, and the queue is as it was', () => {
    const { queue, offer, requests, drain, dropped } = queueOf({ overflow: 'reject' });
    for (const name of ['a', 'b', 'c', 'd']) offer(name);
    expect(requests.get('d')!.error).toMatchObject({
      code: 'MQTT_QUEUE_FULL',
      limit: 'requestCapacity',
      limitValue: 3,
    });
    expect(queue.waiting).toBe(0);
    expect(drain()).toEqual(['a', 'b', 'c']);
    expect(dropped).toEqual([]);
  });

  test('drop-newest: the new one is dropped', () => {
    const { offer, codes, drain, dropped } = queueOf({ overflow: 'drop-newest' });
    for (const name of ['a', 'b', 'c', 'd']) offer(name);
    expect(codes()).toEqual({ d: 'MQTT_MESSAGE_DROPPED' });
    expect(dropped).toEqual(['d drop-newest']);
    expect(drain()).toEqual(['a', 'b', 'c']);
  });

  test('drop-oldest: the oldest makes room', () => {
    const { offer, codes, drain, dropped } = queueOf({ overflow: 'drop-oldest' });
    for (const name of ['a', 'b', 'c', 'd', 'e']) offer(name);
    expect(codes()).toEqual({ a: 'MQTT_MESSAGE_DROPPED', b: 'MQTT_MESSAGE_DROPPED' });
    expect(dropped).toEqual(['a drop-oldest', 'b drop-oldest']);
    expect(drain()).toEqual(['c', 'd', 'e']);
  });
});

describe('overflow by bytes', () => {
  test('wait: a large one waits for its bytes, and a small one behind it does not overtake', () => {
    const { queue, offer, drain } = queueOf({ overflow: 'wait' });
    offer('a', 60);
    offer('large', 60);
    offer('small', 1);
    expect([queue.size, queue.waiting, queue.bytes]).toEqual([1, 2, 60]);
    expect(queue.hasRoomFor(1)).toBe(false);
    expect(drain()).toEqual(['a', 'large', 'small']);
    expect(queue.bytes).toBe(0);
  });

  test('reject: says which limit it was', () => {
    const { offer, requests } = queueOf({ overflow: 'reject' });
    offer('a', 60);
    offer('b', 41);
    expect(requests.get('b')!.error).toMatchObject({ limit: 'requestCapacityBytes', limitValue: 100 });
    offer('c', 40);
    expect(requests.get('c')!.error).toBeUndefined();
  });

  test('drop-oldest: as many make room as are needed, and no more', () => {
    const { queue, offer, drain, dropped } = queueOf({ overflow: 'drop-oldest', requestCapacity: 10 });
    for (const name of ['a', 'b', 'c', 'd']) offer(name, 25);
    offer('e', 40);
    expect(dropped).toEqual(['a drop-oldest', 'b drop-oldest']);
    expect(queue.bytes).toBe(90);
    expect(drain()).toEqual(['c', 'd', 'e']);
  });

  test('drop-newest: the new one is dropped', () => {
    const { queue, offer, dropped } = queueOf({ overflow: 'drop-newest' });
    offer('a', 60);
    offer('b', 60);
    expect(dropped).toEqual(['b drop-newest']);
    expect(queue.bytes).toBe(60);
  });

  test.each(['wait', 'reject', 'drop-oldest', 'drop-newest'] as const)(
    '%s: what could never fit throws and drops nobody',
    (overflow) => {
      const { queue, offer, dropped } = queueOf({ overflow });
      offer('a', 100);
      expect(() => offer('b', 101)).toThrow(MqttPacketTooLargeError);
      expect([queue.size, queue.waiting, queue.bytes]).toEqual([1, 0, 100]);
      expect(dropped).toEqual([]);
    },
  );
});

describe('taking a request out', () => {
  test('of the middle, the head and the end of the queue', () => {
    const { queue, offer, requests, drain } = queueOf({ requestCapacity: 5 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) offer(name, 10);
    for (const name of ['c', 'a', 'e']) queue.withdraw(requests.get(name)!);
    expect(queue.bytes).toBe(20);
    expect(drain()).toEqual(['b', 'd']);
  });

  test('of the line, which moves up', () => {
    const { queue, offer, requests, drain } = queueOf({ requestCapacity: 1, maxWaiters: 5 });
    for (const name of ['a', 'b', 'c', 'd']) offer(name);
    queue.withdraw(requests.get('b')!);
    expect([queue.size, queue.waiting]).toEqual([1, 2]);
    queue.withdraw(requests.get('a')!);
    expect(requests.get('c')!.wasAdmitted).toBe(1);
    expect(drain()).toEqual(['c', 'd']);
  });

  test('that waits in front of smaller ones lets them in', () => {
    const { queue, offer, requests } = queueOf({ requestCapacity: 5 });
    offer('a', 60);
    offer('large', 60);
    offer('small', 10);
    queue.withdraw(requests.get('large')!);
    expect([queue.size, queue.waiting, queue.bytes]).toEqual([2, 0, 70]);
  });

  test('twice, or one that was never in, does nothing', () => {
    const { queue, offer, requests, drain } = queueOf({});
    offer('a');
    offer('b');
    queue.withdraw(requests.get('a')!);
    queue.withdraw(requests.get('a')!);
    queue.withdraw(new Request('stranger', 7));
    expect([queue.size, queue.bytes]).toEqual([1, 1]);
    expect(drain()).toEqual(['b']);
  });
});

test('everyone is admitted exactly once, at once or later', () => {
  const { offer, requests, drain } = queueOf({ requestCapacity: 1, maxWaiters: 5 });
  for (const name of ['a', 'b', 'c']) offer(name);
  expect([...requests.values()].map(({ wasAdmitted }) => wasAdmitted)).toEqual([1, 0, 0]);
  drain();
  expect([...requests.values()].map(({ wasAdmitted }) => wasAdmitted)).toEqual([1, 1, 1]);
});

describe('other limits', () => {
  test('that are larger let those who wait in', () => {
    const { queue, all, offer } = queueOf({ requestCapacity: 1 });
    for (const name of ['a', 'b', 'c']) offer(name);
    queue.configure({ ...all, requestCapacity: 2 });
    expect([queue.size, queue.waiting]).toEqual([2, 1]);
  });

  test('that are smaller keep what was taken and take nothing more', () => {
    const { queue, all, offer, codes, drain } = queueOf({});
    for (const name of ['a', 'b', 'c']) offer(name);
    queue.configure({ ...all, requestCapacity: 1, overflow: 'reject' });
    offer('d');
    expect(codes()).toEqual({ d: 'MQTT_QUEUE_FULL' });
    expect(drain()).toEqual(['a', 'b', 'c']);
  });

  test('that drop the oldest drop those who wait before those who were taken', () => {
    const { queue, all, offer, dropped, drain } = queueOf({ requestCapacity: 2, maxWaiters: 5 });
    for (const name of ['a', 'b', 'c', 'd']) offer(name);
    queue.configure({ ...all, requestCapacity: 2, overflow: 'drop-oldest' });
    offer('e');
    expect(dropped).toEqual(['c drop-oldest', 'd drop-oldest', 'a drop-oldest']);
    expect(drain()).toEqual(['b', 'e']);
  });
});

test('failing all empties queue and line, and the queue goes on', () => {
  const { queue, offer, requests, codes } = queueOf({ requestCapacity: 2 });
  for (const name of ['a', 'b', 'c']) offer(name);
  queue.failAll(new MqttClosedError());
  expect(codes()).toEqual({ a: 'MQTT_CLOSED', b: 'MQTT_CLOSED', c: 'MQTT_CLOSED' });
  expect([queue.size, queue.waiting, queue.bytes, queue.head]).toEqual([0, 0, 0, undefined]);
  expect(requests.get('c')!.wasAdmitted).toBe(0);
  offer('d');
  expect(queue.head?.name).toBe('d');
});

describe('requests that are let past the queue', () => {
  test('take room until they have left', () => {
    const { queue, offer, drain } = queueOf({ overflow: 'wait' });
    expect([queue.letPast(60), queue.letPast(30)]).toEqual([true, true]);
    expect([queue.letPast(11), queue.size, queue.bytes]).toEqual([false, 0, 0]);
    offer('a', 11);
    offer('b', 1);
    expect([queue.size, queue.waiting]).toEqual([0, 2]);
    queue.forgetPast();
    expect([queue.size, queue.waiting]).toEqual([2, 0]);
    expect(drain()).toEqual(['a', 'b']);
  });

  test('are none when somebody waits, who comes first', () => {
    const { queue, offer } = queueOf({ overflow: 'wait' });
    queue.letPast(60);
    offer('a', 50);
    expect(queue.letPast(1)).toBe(false);
  });

  test('come back before everything else, in their order', () => {
    const { queue, offer, drain } = queueOf({ overflow: 'reject' });
    queue.letPast(1);
    queue.letPast(1);
    offer('c');
    queue.takeBack([new Request('a', 1), new Request('b', 1)]);
    expect([queue.size, queue.bytes, queue.hasRoomFor(1)]).toEqual([3, 3, false]);
    expect(drain()).toEqual(['a', 'b', 'c']);
    expect([queue.size, queue.bytes, queue.hasRoomFor(100)]).toEqual([0, 0, true]);
  });

  test('are what "reject" says the queue is full of', () => {
    const { queue, offer, codes } = queueOf({ overflow: 'reject', requestCapacity: 1 });
    queue.letPast(1);
    expect(offer('a').error?.message).toContain('requestCapacity');
    expect(codes()).toEqual({ a: 'MQTT_QUEUE_FULL' });
  });

  test('are not dropped for newer ones while they are on their way, and are when they come back', () => {
    const { queue, offer, dropped, drain } = queueOf({ overflow: 'drop-oldest', requestCapacity: 2 });
    queue.letPast(1);
    queue.letPast(1);
    offer('c');
    expect(dropped).toEqual([]);
    queue.takeBack([new Request('a', 1), new Request('b', 1)]);
    expect(dropped).toEqual(['a drop-oldest']);
    expect(drain()).toEqual(['b', 'c']);
  });
});
