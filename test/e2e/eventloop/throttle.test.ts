import type { EventLoop, EventLoopOptions, ThrottledEvent, ThrottleOptions } from 'nestjs-rumqtt/eventloop';
import type { PacketName, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { LateClock } from '../../fixtures/late-clock.js';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

interface Sent {
  readonly cmd: PacketName;
  readonly atMs: number;
}

interface Recording extends ScriptedLoop {
  /** What the broker received and when, CONNECT left out. It answers everything. */
  readonly sent: Sent[];
}

/** Pings would get in the way of counting. */
const NO_PINGS = 0;

async function recording(options: EventLoopOptions, clock?: VirtualClock): Promise<Recording> {
  const scripted = scriptedLoop({ keepAliveSeconds: NO_PINGS, ...options }, clock === undefined ? {} : { clock });
  const sent: Sent[] = [];
  scripted.broker.serve({
    onPublish: () => void sent.push({ cmd: 'publish', atMs: scripted.clock.now() }),
    onSubscribe: () => void sent.push({ cmd: 'subscribe', atMs: scripted.clock.now() }),
  });
  await scripted.loop.start();
  return { ...scripted, sent };
}

function publishAll(loop: EventLoop, count: number, payload: Uint8Array | string = 'x', qos: 0 | 1 | 2 = 0): void {
  for (let i = 0; i < count; i++) void loop.publish('hello/world', payload, { qos }).catch(() => {});
}

const times = (sent: readonly Sent[]): number[] => sent.map(({ atMs }) => Math.round(atMs * 1e6) / 1e6);
const gaps = (sent: readonly Sent[]): number[] =>
  times(sent)
    .slice(1)
    .map((atMs, i) => atMs - times(sent)[i]!);
const evenly = (count: number, everyMs: number): number[] => Array.from({ length: count }, (_, i) => i * everyMs);

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test.each([0, 1, 2] as const)('S5: 5/s, 100 publishes (QoS %i) offered at 1 ms: every gap is 200 ms', async (qos) => {
    const { loop, clock, sent } = await recording({ protocolVersion, throttle: 5 });
    for (let i = 0; i < 100; i++) {
      publishAll(loop, 1, 'x', qos);
      await clock.advance(1);
    }
    await clock.advance(19_800);
    expect(times(sent)).toEqual(evenly(100, 200));
  });

  test('S5: 0.5/s is one message every two seconds', async () => {
    const { loop, clock, sent } = await recording({ protocolVersion, throttle: 0.5 });
    publishAll(loop, 10);
    await clock.advance(18_000);
    expect(times(sent)).toEqual(evenly(10, 2_000));
  });

  test('S5: 7.5/s: fractions of a millisecond do not add up to an error', async () => {
    const { loop, clock, sent } = await recording({ protocolVersion, throttle: 7.5 });
    publishAll(loop, 76);
    await clock.advance(10_000);
    expect(sent).toHaveLength(76);
    expect(sent.at(-1)!.atMs).toBeCloseTo(10_000, 6);
    for (const gap of gaps(sent)) expect(gap).toBeCloseTo(1_000 / 7.5, 3);
  });

  test('subscribes and unsubscribes count', async () => {
    const { loop, clock, sent } = await recording({ protocolVersion, throttle: 5 });
    publishAll(loop, 1);
    await clock.settle();
    const subscribed = watch(loop.subscribe('a/b'));
    const unsubscribed = watch(loop.unsubscribe('a/b'));
    publishAll(loop, 1);
    await clock.advance(1_000);
    expect([subscribed.state, unsubscribed.state]).toEqual(['resolved', 'resolved']);
    expect(sent).toEqual([
      { cmd: 'publish', atMs: 0 },
      { cmd: 'subscribe', atMs: 200 },
      { cmd: 'publish', atMs: 600 },
    ]);
  });

  test('acknowledgements, PUBREL and pings do not count and do not wait', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, throttle: 0.001, keepAliveSeconds: 5 });
    const connection = await connect();
    connection.autoPing = true;
    loop.onMessage(() => {});
    publishAll(loop, 2, 'x', 2);
    connection.pubrec(await connection.next('publish'));
    await connection.next('pubrel');
    for (let messageId = 1; messageId <= 50; messageId++) connection.publish({ topic: 'in', qos: 1, messageId });
    for (let messageId = 1; messageId <= 50; messageId++) await connection.next('puback');
    connection.publish({ topic: 'in', qos: 2, messageId: 51 });
    connection.pubrel(await connection.next('pubrec'));
    await connection.next('pubcomp');
    await clock.advance(11_000);
    expect(connection.received.filter(({ cmd }) => cmd === 'pingreq')).toHaveLength(2);
    await connection.nothing();
  });

  test('a ping waits for no throttle, and the throttle for no ping', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, throttle: 0.25, keepAliveSeconds: 3 });
    const connection = await connect();
    connection.autoPing = true;
    publishAll(loop, 4);
    await clock.advance(12_000);
    expect(connection.received.filter(({ cmd }) => cmd === 'publish')).toHaveLength(4);
    expect(connection.received.filter(({ cmd }) => cmd === 'pingreq').length).toBeGreaterThanOrEqual(3);
  });

  test('resends count', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      throttle: 5,
      clean: false,
      keepAliveSeconds: NO_PINGS,
      reconnect: { jitter: 'none', minDelayMs: 1_000 },
    });
    const first = await connect();
    publishAll(loop, 3, 'x', 1);
    await clock.advance(400);
    for (let i = 0; i < 3; i++) await first.next('publish');
    first.cut();
    await clock.advance(1_000);
    const second = await broker.acceptConnected({ sessionPresent: true });
    await clock.settle();
    for (let i = 0; i < 3; i++) {
      expect(await second.next('publish')).toMatchObject({ dup: true });
      await second.nothing(clock);
      await clock.advance(199);
      await second.nothing();
      await clock.advance(1);
    }
  });

  test('a reconnect does not refill the throttle', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      throttle: 0.1,
      keepAliveSeconds: NO_PINGS,
      reconnect: { jitter: 'none', minDelayMs: 1_000 },
    });
    const first = await connect();
    publishAll(loop, 2);
    await first.next('publish');
    first.cut();
    await clock.advance(1_000);
    const second = await broker.acceptConnected();
    await clock.advance(8_999);
    await second.nothing();
    await clock.advance(1);
    expect(await second.next('publish')).toMatchObject({ topic: 'hello/world' });
  });

  test('time without a connection earns nothing: messages are evenly spaced after an outage too', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      throttle: 100,
      keepAliveSeconds: NO_PINGS,
      reconnect: { jitter: 'none', minDelayMs: 60_000 },
    });
    const first = await connect();
    publishAll(loop, 20);
    await clock.advance(95);
    first.cut();
    await clock.advance(60_000);
    const second = await broker.acceptConnected();
    await clock.settle();
    const arrivals: number[] = [];
    for (let ms = 0; ms < 110; ms += 5) {
      arrivals.push(second.received.filter(({ cmd }) => cmd === 'publish').length);
      await clock.advance(5);
    }
    expect(arrivals).toEqual(Array.from({ length: 22 }, (_, i) => Math.min(10, 1 + Math.floor(i / 2))));
  });
});

test('the first message after a pause goes at once, those behind it are spaced: an idle time is not saved up', async () => {
  const { loop, clock, sent } = await recording({ throttle: 5 });
  publishAll(loop, 2);
  await clock.advance(60_000);
  sent.length = 0;
  publishAll(loop, 3);
  await clock.advance(400);
  expect(times(sent)).toEqual([60_000, 60_200, 60_400]);
});

test('a burst may leave back to back after a pause, and the average still holds', async () => {
  const { loop, clock, sent } = await recording({ throttle: { messagesPerSecond: 10, burst: 4 } });
  await clock.advance(1_000);
  publishAll(loop, 8);
  await clock.advance(400);
  expect(times(sent)).toEqual([1_000, 1_000, 1_000, 1_000, 1_100, 1_200, 1_300, 1_400]);
  // A short pause refills a part of it.
  await clock.advance(200);
  sent.length = 0;
  publishAll(loop, 4);
  await clock.advance(300);
  expect(times(sent)).toEqual([1_600, 1_600, 1_700, 1_800]);
});

test('bytesPerSecond limits whole packets', async () => {
  const { loop, clock, sent } = await recording({
    throttle: { messagesPerSecond: 1_000_000, bytesPerSecond: 1_000 },
  });
  // Fixed header 3, topic 13, properties 1: with the payload 500 bytes.
  publishAll(loop, 5, Buffer.alloc(483));
  await clock.advance(2_000);
  expect(times(sent)).toEqual(evenly(5, 500));
});

test('a message larger than a second of bytesPerSecond leaves, and is paid for afterwards', async () => {
  const { loop, clock, sent } = await recording({ throttle: { messagesPerSecond: 1_000_000, bytesPerSecond: 100 } });
  publishAll(loop, 2, Buffer.alloc(483));
  await clock.advance(5_000);
  expect(times(sent)).toEqual([0, 5_000]);
});

test('the stricter of both rates decides', async () => {
  const { loop, clock, sent } = await recording({ throttle: { messagesPerSecond: 5, bytesPerSecond: 1_000 } });
  publishAll(loop, 2, Buffer.alloc(483));
  publishAll(loop, 3, 'x');
  await clock.advance(2_000);
  const [first, second, third, fourth, fifth] = times(sent);
  expect([first, second, third]).toEqual([0, 500, 1_000]);
  expect([fourth! - third!, fifth! - fourth!]).toEqual([200, 200]);
});

test.each([
  { rate: 5, latenessMs: 1 },
  { rate: 1_000, latenessMs: 1 },
  { rate: 20_000, latenessMs: 1 },
  { rate: 20_000, latenessMs: 1.37 },
  { rate: 200, latenessMs: 40 },
])('S5: timers that fire $latenessMs ms late do not lower $rate/s', async ({ rate, latenessMs }) => {
  const clock = new LateClock();
  const { loop, sent } = await recording({ throttle: rate, requestCapacity: 100_000 }, clock);
  clock.latenessMs = latenessMs;
  const seconds = rate === 5 ? 20 : 1;
  publishAll(loop, rate * seconds + 1);
  await clock.advance(seconds * 1_000 + latenessMs);
  expect(sent).toHaveLength(rate * seconds + 1);
  // At no moment ahead of the rate.
  sent.forEach(({ atMs }, i) => expect(i).toBeLessThanOrEqual((atMs * rate) / 1_000 + 1e-6));
});

test('a thread that was blocked for long is made up for by a quarter of a second at most, never in a flood', async () => {
  const clock = new LateClock();
  const { loop, sent } = await recording({ throttle: 100 }, clock);
  clock.latenessMs = 60_000;
  publishAll(loop, 200);
  await clock.settle();
  clock.latenessMs = 0;
  await clock.advance(60_010);
  expect(sent.length).toBeGreaterThan(1);
  expect(sent.length).toBeLessThanOrEqual(27);
  await clock.advance(500);
  expect(sent.length).toBeLessThanOrEqual(27 + 50);
});

test('a full window does not save up throttle time: the slots that come free are spaced', async () => {
  const { loop, clock, connect } = scriptedLoop({ throttle: 10, inflight: 2, keepAliveSeconds: NO_PINGS });
  const connection = await connect();
  publishAll(loop, 4, 'x', 1);
  await clock.advance(10_000);
  const sent = (): number => connection.received.filter(({ cmd }) => cmd === 'publish').length;
  expect(sent()).toBe(2);
  connection.puback(await connection.next('publish'));
  connection.puback(await connection.next('publish'));
  await clock.settle();
  expect(sent()).toBe(3);
  await clock.advance(99);
  expect(sent()).toBe(3);
  await clock.advance(1);
  expect(sent()).toBe(4);
});

test.each([{ throttle: 0.001 }, { throttle: { messagesPerSecond: 1_000, bytesPerSecond: 1 } }])(
  'reconnect({ throttle }) changes the rate at once, from $throttle',
  async ({ throttle }) => {
    const { loop, clock, sent } = await recording({ throttle });
    publishAll(loop, 4);
    await clock.advance(1_000);
    expect(times(sent)).toEqual([0]);
    const changed = watch(loop.reconnect({ throttle: 10 }));
    await clock.advance(300);
    expect(changed.state).toBe('resolved');
    expect(times(sent)).toEqual([0, 1_000, 1_100, 1_200]);
  },
);

test('reconnect() on demand does not refill the throttle', async () => {
  const { loop, clock, sent } = await recording({ throttle: { messagesPerSecond: 0.1, bytesPerSecond: 100 } });
  publishAll(loop, 2);
  await clock.advance(1_000);
  void loop.reconnect({ throttle: { messagesPerSecond: 0.1, bytesPerSecond: 100 } });
  await clock.advance(9_000);
  expect(times(sent)).toEqual([0, 10_000]);
});

test('throttled is emitted once when requests begin to be held back, and the time is counted', async () => {
  const { loop, clock } = await recording({ throttle: 5 });
  const events: ThrottledEvent[] = [];
  loop.on('throttled', (event) => events.push(event));
  publishAll(loop, 1);
  await clock.advance(1_000);
  expect(events).toEqual([]);
  publishAll(loop, 4);
  await clock.advance(1_000);
  expect(events).toEqual([{ waitMs: 200, queued: 3 }]);
  expect(loop.stats().throttleWaitMs).toBe(600);
});

test('a subscribe that waits for the throttle goes before the publishes that wait for it', async () => {
  const { loop, clock, sent } = await recording({ throttle: 5 });
  publishAll(loop, 3);
  await clock.settle();
  void loop.subscribe('a/b');
  await clock.advance(600);
  expect(sent.map(({ cmd }) => cmd)).toEqual(['publish', 'subscribe', 'publish', 'publish']);
  expect(times(sent)).toEqual(evenly(4, 200));
});

test.each([
  0,
  -1,
  Number.NaN,
  Infinity,
  '5',
  null,
  {},
  { messagesPerSecond: 5, burst: 0.5 },
  { messagesPerSecond: 5, bytesPerSecond: 0 },
  { messagesPerSecond: 5, rate: 1 },
])('throttle %j is rejected by name', (throttle) => {
  expect(() => scriptedLoop({ throttle: throttle as ThrottleOptions })).toThrow(/invalid MQTT options: throttle/);
});
