import type { WritePacket } from '@nestjs/microservices';
import { describe, expect, it } from 'vitest';
import type { Clock, Timer } from '../../../lib/eventloop/clock.js';
import { MqttClosedError, MqttTimeoutError } from '../../../lib/eventloop/errors.js';
import { MqttTooManyRequestsError } from '../../../lib/mqtt.errors.js';
import { PendingRequests, type PendingRequest } from '../../../lib/requests/pending-requests.js';
import { autoCodec } from '../../../lib/serialization/codec.js';

/** Time that a test moves. */
class TestClock implements Clock {
  #nowMs = 0;
  readonly timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return this.#nowMs;
  }

  startTimer(callback: () => void, delayMs: number): Timer {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.timers.add(timer);
    return { cancel: () => void this.timers.delete(timer) };
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.timers].toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) break;
      this.timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}

function setup(limit = 10) {
  const clock = new TestClock();
  const settled: [topic: string, timedOut: boolean][] = [];
  const pending = new PendingRequests(limit, ({ topic }, timedOut) => settled.push([topic, timedOut]), clock);
  const packets: WritePacket[] = [];
  const open = (topic: string, timeoutMs = 100): PendingRequest => {
    const request = pending.open(topic, timeoutMs, autoCodec, (packet) => packets.push(packet));
    request.state = 'waiting';
    return request;
  };
  return { clock, settled, pending, packets, open };
}

describe('a pending request', () => {
  it('has an id that nobody can guess', () => {
    const { open } = setup(1_000);
    const ids = Array.from({ length: 1_000 }, () => open('t').id);

    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(Buffer.from(id, 'base64url')).toHaveLength(16);
  });

  it('is settled by its last reply, once', () => {
    const { pending, packets, open, settled } = setup();
    const request = open('t');

    expect(pending.reply(request.id, { response: 1 })).toBe(request);
    expect(pending.reply(request.id, { response: 2, isDisposed: true })).toBe(request);
    expect(pending.reply(request.id, { response: 3, isDisposed: true })).toBeUndefined();
    pending.fail(request, new Error('too late'));

    expect(packets).toEqual([{ response: 1 }, { response: 2, isDisposed: true }]);
    expect(settled).toEqual([['t', false]]);
    expect(pending.size).toBe(0);
  });

  it('is not found by ids that are members of objects', () => {
    const { pending, open } = setup();
    open('t');

    for (const id of ['__proto__', 'constructor', 'toString', '']) {
      expect(pending.reply(id, { isDisposed: true })).toBeUndefined();
    }
    expect(pending.size).toBe(1);
  });

  it('times out at its own time, whatever the order of opening', () => {
    const { clock, packets, open } = setup();
    open('slow', 100);
    open('fast', 10);
    open('slow too', 100);
    clock.advance(10);
    expect(topicsOf(packets)).toEqual(['fast']);

    clock.advance(90);

    expect(topicsOf(packets)).toEqual(['fast', 'slow', 'slow too']);
    expect(packets.map(({ err }) => err as unknown)).toEqual(
      Array.from({ length: 3 }, () => expect.any(MqttTimeoutError)),
    );
  });

  it('has its time again after each value of a stream', () => {
    const { clock, pending, packets, open } = setup();
    const request = open('t', 100);

    for (let i = 0; i < 5; i++) {
      clock.advance(80);
      pending.reply(request.id, { response: i });
    }
    expect(packets).toHaveLength(5);
    clock.advance(100);

    expect(packets.at(-1)?.err).toMatchObject({ code: 'MQTT_TIMEOUT', delivery: 'unknown' });
  });

  it('waits for ever with a timeout of 0', () => {
    const { clock, pending, packets, open } = setup();
    const request = open('t', 0);

    clock.advance(1e9);

    expect(packets).toEqual([]);
    expect(pending.remainingMs(request)).toBeUndefined();
  });

  it('leaves its timeout to the event loop while that has it, and takes it back after', () => {
    const { clock, pending, packets, open } = setup();
    const request = open('t', 100);
    request.state = 'publishing';
    expect(pending.remainingMs(request)).toBe(100);
    clock.advance(100);
    expect(packets).toEqual([]);

    pending.published(request);

    expect(packets).toEqual([{ err: expect.any(MqttTimeoutError), isDisposed: true }]);
  });

  it('was not sent if it times out while subscriptions are being made', () => {
    const { clock, packets, open } = setup();
    open('t', 100).state = 'preparing';

    clock.advance(100);

    expect(packets[0]?.err).toMatchObject({ delivery: 'not-sent' });
  });

  it('tells whether it timed out to whoever keeps the routes', () => {
    const { clock, pending, settled, open } = setup();
    pending.cancel(open('cancelled'));
    open('slow');
    clock.advance(100);

    expect(settled).toEqual([
      ['cancelled', false],
      ['slow', true],
    ]);
  });

  it('is bounded in number', () => {
    const { pending, open } = setup(2);
    const first = open('a');
    open('b');

    expect(() => open('c')).toThrow(MqttTooManyRequestsError);
    pending.cancel(first);
    expect(() => open('c')).not.toThrow();
  });

  it('fails with all others at the end', () => {
    const { pending, packets, open } = setup();
    open('a');
    open('b');

    pending.failAll(() => new MqttClosedError('unknown'));

    expect(packets.map(({ err }) => (err as Error).name)).toEqual(['MqttClosedError', 'MqttClosedError']);
    expect(pending.size).toBe(0);
  });
});

describe('deadlines', () => {
  it('take one timer for all requests, and none without', () => {
    const { clock, pending, open } = setup(1_000);
    const requests = Array.from({ length: 500 }, (_, index) => open('t', 1_000 - index));
    expect(clock.timers.size).toBe(1);
    clock.advance(10);

    for (const request of requests) pending.cancel(request);

    expect(clock.timers.size).toBe(0);
  });
});

function topicsOf(packets: readonly WritePacket[]): unknown[] {
  return packets.map(({ err }) => /"(.*)"/.exec((err as MqttTimeoutError).operation)?.[1]);
}
