import type { MqttError, ReconnectOptions } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

/** Delays that a test can count with. */
const EXACT = { jitter: 'none', minDelayMs: 1_000, factor: 1 } as const;

/** Advances far enough for `attempts` more of them, and says when each was made. */
async function attemptTimes({ broker, clock }: ScriptedLoop, attempts: number): Promise<number[]> {
  const times: number[] = [];
  while (times.length < attempts) {
    const before = broker.dialled.length;
    await clock.advance(clock.nextTimerInMs ?? 0);
    if (broker.dialled.length > before) times.push(clock.now());
    else if (clock.nextTimerInMs === undefined) throw new Error(`no attempt is planned after ${times.join(', ')}`);
  }
  return times;
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('S1: no broker listens', () => {
  test.each(['never', 'after-first-success', undefined] as const)('%s: start rejects, no retry', async (policy) => {
    const { loop, broker, clock, disconnected } = scriptedLoop({ reconnect: { policy } });
    broker.down();
    const started = watch(loop.start());
    await clock.advance(3_600_000);
    expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_FAILED', cause: { code: 'ECONNREFUSED' } });
    expect((started.error as Error).message).toContain('mqtt://localhost:1883');
    expect(broker.dialled).toHaveLength(1);
    expect(disconnected).toMatchObject([{ willRetryInMs: undefined }]);
    expect(clock.pendingTimers).toBe(0);
    expect(loop.status).toBe('idle');
  });

  test('always: start resolves after the first attempt, retries go on', async () => {
    const { loop, broker, clock } = scriptedLoop({ reconnect: { ...EXACT, policy: 'always' } });
    broker.down();
    const started = watch(loop.start());
    await clock.settle();
    expect(started.state).toBe('resolved');
    expect(loop.status).not.toBe('connected');
    await clock.advance(10_000);
    expect(broker.dialled).toHaveLength(11);
    broker.up();
    await clock.advance(1_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(loop.status).toBe('connected');
  });

  test('always: start does not resolve before the first attempt has ended', async () => {
    const { loop, broker, clock } = scriptedLoop({ connectTimeoutMs: 5_000, reconnect: { policy: 'always' } });
    broker.blackholeNext();
    const started = watch(loop.start());
    await clock.advance(4_999);
    expect(started.state).toBe('pending');
    await clock.advance(1);
    expect(started.state).toBe('resolved');
  });
});

describe.each([4, 5] as const)('S2, protocol version %i', (protocolVersion) => {
  test('always: the error of the first attempt is told, and the attempt repeated', async () => {
    const { loop, broker, clock, disconnected, connected } = scriptedLoop({
      protocolVersion,
      reconnect: { ...EXACT, policy: 'always' },
    });
    broker.refuseNext();
    const started = watch(loop.start());
    await clock.settle();
    expect(started.state).toBe('resolved');
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECT_FAILED' }, willRetryInMs: 1_000 }]);
    await clock.advance(1_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(connected).toMatchObject([{ attempt: 2 }]);
  });

  test('after-first-success, no success yet: stops with the error, and can be started again', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    broker.refuseNext();
    const first = watch(loop.start());
    await clock.advance(60_000);
    expect(first.error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
    const second = watch(loop.start());
    await broker.acceptConnected();
    await clock.settle();
    expect(second.state).toBe('resolved');
  });

  test('after-first-success, after one: retries until it succeeds', async () => {
    const { loop, broker, clock, connect, connected } = scriptedLoop({ protocolVersion, reconnect: EXACT });
    const first = await connect();
    broker.down();
    first.cut();
    await clock.advance(100_000);
    expect(broker.dialled).toHaveLength(101);
    expect(loop.status).toBe('reconnecting');
    broker.up();
    await clock.advance(1_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(connected).toMatchObject([{ attempt: 1 }, { attempt: 101 }]);
    expect(loop.stats()).toMatchObject({ connections: 2, reconnects: 1, connectFailures: 100 });
  });

  test('never: a later loss closes the loop, and what was accepted is told', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, reconnect: { policy: 'never' } });
    const closed: unknown[] = [];
    loop.on('closed', ({ cause }) => closed.push(cause));
    const connection = await connect();
    const sent = watch(loop.publish('a', 'x', { qos: 1 }));
    await connection.next('publish');
    connection.cut();
    await clock.settle();
    expect(loop.status).toBe('closed');
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECTION_LOST' }, willRetryInMs: undefined }]);
    expect(closed).toEqual([disconnected[0]!.cause]);
    expect(sent.error).toMatchObject({
      code: 'MQTT_CLOSED',
      delivery: 'unknown',
      cause: { code: 'MQTT_CONNECTION_LOST' },
    });
    await expect(loop.publish('a', 'x')).rejects.toMatchObject({ code: 'MQTT_CLOSED', delivery: 'not-sent' });
    await expect(loop.start()).rejects.toMatchObject({ code: 'MQTT_CLOSED' });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('backoff', () => {
  test('grows by the factor up to the longest delay', async () => {
    const scripted = scriptedLoop({
      reconnect: { policy: 'always', jitter: 'none', minDelayMs: 500, maxDelayMs: 6_000, factor: 3 },
    });
    scripted.broker.down();
    void scripted.loop.start();
    await scripted.clock.settle();
    expect(await attemptTimes(scripted, 5)).toEqual([500, 2_000, 6_500, 12_500, 18_500]);
  });

  test('by default from 1 s to 2 min, doubling, with full jitter', async () => {
    const scripted = scriptedLoop({ reconnect: { policy: 'always' } }, { random: () => 0.5 });
    scripted.broker.down();
    void scripted.loop.start();
    await scripted.clock.settle();
    await attemptTimes(scripted, 9);
    expect(scripted.disconnected.map(({ willRetryInMs }) => willRetryInMs)).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000,
    ]);
  });

  test('full jitter: every delay between nothing and the ceiling, spread over all of it', async () => {
    const scripted = scriptedLoop(
      { reconnect: { policy: 'always', minDelayMs: 8_000, maxDelayMs: 8_000 } },
      { random: seededRandom(7) },
    );
    scripted.broker.down();
    void scripted.loop.start();
    await scripted.clock.settle();
    await attemptTimes(scripted, 400);
    const delays = scripted.disconnected.map(({ willRetryInMs }) => willRetryInMs!);
    const quarters = [0, 0, 0, 0];
    for (const delay of delays) quarters[Math.floor(delay / 2_000)]!++;
    expect(delays).toHaveLength(401);
    for (const count of quarters) expect(count).toBeGreaterThan(70);
  });

  test('a connection that did not last does not reset it; one that lasted stableAfterMs does', async () => {
    const { broker, clock, connect, disconnected } = scriptedLoop({
      keepAliveSeconds: 0,
      reconnect: { jitter: 'none', minDelayMs: 1_000, maxDelayMs: 60_000, stableAfterMs: 10_000 },
    });
    let connection = await connect();
    for (const [lastsMs, delayMs] of [
      [0, 1_000],
      [9_999, 2_000],
      [5_000, 4_000],
      [10_000, 1_000],
      [0, 2_000],
    ] as const) {
      await clock.advance(lastsMs);
      connection.cut();
      await clock.settle();
      expect(disconnected.at(-1)).toMatchObject({ willRetryInMs: delayMs });
      await clock.advance(delayMs - 1);
      expect(broker.connections).toHaveLength(disconnected.length);
      await clock.advance(1);
      connection = await broker.acceptConnected();
      await clock.settle();
    }
  });

  test('an accepted connection that the broker drops at once is approached ever more slowly', async () => {
    const { broker, clock, connect, disconnected } = scriptedLoop({ reconnect: { jitter: 'none' } });
    let connection = await connect();
    for (let i = 0; i < 6; i++) {
      connection.end();
      await clock.settle();
      await clock.advance(disconnected.at(-1)!.willRetryInMs!);
      connection = await broker.acceptConnected();
      await clock.settle();
    }
    expect(disconnected.map(({ willRetryInMs }) => willRetryInMs)).toEqual([1e3, 2e3, 4e3, 8e3, 16e3, 32e3]);
  });
});

describe('reconnect.retry', () => {
  async function afterLoss(retry: NonNullable<ReconnectOptions['retry']>): Promise<ScriptedLoop> {
    const scripted = scriptedLoop({ reconnect: { ...EXACT, retry } });
    const connection = await scripted.connect();
    scripted.broker.down();
    connection.cut();
    await scripted.clock.settle();
    return scripted;
  }

  test('is asked with the error and the attempt: 0 for a loss, then 1, 2, …', async () => {
    const asked: [string, number][] = [];
    const scripted = await afterLoss((error: MqttError, attempt) => {
      asked.push([error.code, attempt]);
      return undefined;
    });
    expect(await attemptTimes(scripted, 3)).toEqual([1_000, 2_000, 3_000]);
    expect(asked).toEqual([
      ['MQTT_CONNECTION_LOST', 0],
      ['MQTT_CONNECT_FAILED', 1],
      ['MQTT_CONNECT_FAILED', 2],
      ['MQTT_CONNECT_FAILED', 3],
    ]);
  });

  test('decides the delay', async () => {
    const scripted = await afterLoss((_error, attempt) => (attempt === 1 ? undefined : 70 + attempt));
    expect(await attemptTimes(scripted, 4)).toEqual([70, 1_070, 1_142, 1_215]);
  });

  test("'stop' closes the loop with the error", async () => {
    const { loop, disconnected, clock } = await afterLoss(() => 'stop');
    expect(loop.status).toBe('closed');
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECTION_LOST' }, willRetryInMs: undefined }]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('can go on where the loop would stop', async () => {
    const { broker, clock, loop } = scriptedLoop({ reconnect: { policy: 'always', retry: () => 100 } });
    const started = watch(loop.start());
    await broker.acceptConnected({ reasonCode: 0x8a });
    await clock.advance(100);
    await broker.acceptConnected();
    await clock.settle();
    expect(started.state).toBe('resolved');
    expect(loop.status).toBe('connected');
  });

  test.each([
    ['throws', () => JSON.parse('{') as never],
    ['returns NaN', () => Number.NaN],
    ['returns a negative delay', () => -1],
    ['returns text', () => 'later' as never],
  ])('that %s closes the loop and says why', async (_name, retry) => {
    const { loop, clock } = await afterLoss(retry);
    expect(loop.status).toBe('closed');
    await expect(loop.publish('a', 'x')).rejects.toMatchObject({ code: 'MQTT_CLOSED' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('tells what was waiting why the loop closed', async () => {
    const { loop, connect, clock } = scriptedLoop({
      reconnect: {
        retry: () => {
          throw new TypeError('a bug');
        },
      },
    });
    const causes: unknown[] = [];
    loop.on('closed', ({ cause }) => causes.push(cause));
    (await connect()).cut();
    const waiting = watch(loop.publish('a', 'x', { qos: 1 }));
    await clock.settle();
    expect(causes).toMatchObject([{ code: 'MQTT_INVALID_STATE', cause: { message: 'a bug' } }]);
    expect(waiting.error).toMatchObject({ code: 'MQTT_CLOSED', cause: causes[0] });
  });
});

describe('error classes', () => {
  const permanent = [0x81, 0x82, 0x84, 0x85, 0x8a, 0x8c, 0x90, 0x95, 0x99, 0x9a, 0x9b];

  test.each(permanent)('a refusal with 0x%x is permanent: the loop stops and tells', async (reasonCode) => {
    const { loop, broker, clock, connect, disconnected } = scriptedLoop({ reconnect: { ...EXACT, policy: 'always' } });
    const first = await connect();
    first.cut();
    await clock.advance(1_000);
    await broker.acceptConnected({ reasonCode });
    await clock.advance(600_000);
    expect(broker.connections).toHaveLength(2);
    expect(loop.status).toBe('closed');
    expect(disconnected.at(-1)).toMatchObject({ reasonCode, willRetryInMs: undefined });
  });

  test.each([0x80, 0x83, 0x86, 0x87, 0x88, 0x89, 0x97, 0x9c, 0x9d, 0x9f])(
    'a refusal with 0x%x is not: the next attempt may succeed',
    async (reasonCode) => {
      const { loop, broker, clock, disconnected } = scriptedLoop({ reconnect: { ...EXACT, policy: 'always' } });
      void loop.start();
      await broker.acceptConnected({ reasonCode });
      await clock.settle();
      expect(disconnected).toMatchObject([{ reasonCode, willRetryInMs: 1_000 }]);
      await clock.advance(1_000);
      await broker.acceptConnected();
      await clock.settle();
      expect(loop.status).toBe('connected');
    },
  );

  test('a permanent refusal of one server does not keep the loop from stopping although others are listed', async () => {
    const { loop, broker, clock } = scriptedLoop({ url: ['mqtt://a', 'mqtt://b'], reconnect: { policy: 'always' } });
    const started = watch(loop.start());
    await broker.acceptConnected({ reasonCode: 0x85 });
    await clock.settle();
    expect(started.error).toMatchObject({ reasonCode: 0x85 });
    expect(loop.status).toBe('closed');
  });

  test.each([0x8b, 0x89, 0x98, 0x9c, 0x87])(
    'DISCONNECT 0x%x from the server is followed by a retry',
    async (reasonCode) => {
      const { loop, broker, clock, connect, disconnected } = scriptedLoop({ reconnect: EXACT });
      const connection = await connect();
      connection.disconnect({ reasonCode, properties: { reasonString: 'bye' } });
      connection.end();
      await clock.settle();
      expect(disconnected).toMatchObject([
        { cause: { code: 'MQTT_SERVER_DISCONNECTED', reasonCode }, reasonCode, willRetryInMs: 1_000 },
      ]);
      expect(disconnected[0]!.cause.message).toContain('bye');
      await clock.advance(1_000);
      await broker.acceptConnected();
      await clock.settle();
      expect(loop.status).toBe('connected');
    },
  );

  test('takeover (0x8E): never back at once, so that two clients of one name do not fight', async () => {
    const { broker, clock, connect, disconnected } = scriptedLoop(
      { reconnect: { minDelayMs: 1_000 } },
      { random: () => 0 },
    );
    let connection = await connect();
    for (const delayMs of [500, 1_000, 2_000]) {
      connection.disconnect({ reasonCode: 0x8e });
      connection.end();
      await clock.settle();
      expect(disconnected.at(-1)).toMatchObject({ reasonCode: 0x8e, willRetryInMs: delayMs });
      await clock.advance(delayMs);
      connection = await broker.acceptConnected();
      await clock.settle();
    }
  });

  test('a credentials provider that fails is asked again', async () => {
    let asked = 0;
    const { loop, broker, clock, disconnected } = scriptedLoop({
      reconnect: { ...EXACT, policy: 'always' },
      credentials: async () => {
        asked++;
        if (asked === 1) throw new Error('vault is sealed');
        if (asked === 2) return { username: 7 } as never;
        return { username: 'me' };
      },
    });
    const started = watch(loop.start());
    await clock.settle();
    expect(started.state).toBe('resolved');
    await clock.advance(2_000);
    expect((await broker.acceptConnected()).connectPacket?.username).toBe('me');
    expect(disconnected).toMatchObject([
      { cause: { code: 'MQTT_CREDENTIALS', cause: { message: 'vault is sealed' } }, willRetryInMs: 1_000 },
      { cause: { code: 'MQTT_CREDENTIALS' }, willRetryInMs: 1_000 },
    ]);
    expect(broker.dialled).toHaveLength(1);
  });

  test('the provider is asked for every attempt, and not in between', async () => {
    let asked = 0;
    const { broker, clock, connect } = scriptedLoop({
      reconnect: EXACT,
      keepAliveSeconds: 0,
      credentials: () => ({ username: `${++asked}` }),
    });
    const first = await connect();
    await clock.advance(600_000);
    expect(asked).toBe(1);
    first.cut();
    await clock.advance(1_000);
    expect((await broker.acceptConnected()).connectPacket?.username).toBe('2');
  });
});

test.each([
  { minDelayMs: 0 },
  { minDelayMs: 2_000, maxDelayMs: 1_000 },
  { factor: 0.5 },
  { jitter: 'some' },
  { policy: 'sometimes' },
  { stableAfterMs: -1 },
  { retry: 3 },
  { delay: 3 },
])('reconnect %j is rejected by name', (reconnect) => {
  const [option] = Object.keys(reconnect).slice(-1);
  expect(() => scriptedLoop({ reconnect: reconnect as ReconnectOptions })).toThrow(
    `invalid MQTT options: reconnect.${option}`,
  );
});
