import { EventLoop, MqttKeepAliveTimeoutError, MqttOptionsError } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { LateClock } from '../../fixtures/late-clock.js';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

/** Advances from timer to timer; says when each PINGREQ came, and answers it after `answerMs`. */
async function pingTimes(
  clock: VirtualClock,
  connection: ScriptedConnection,
  untilMs: number,
  answerMs = 0,
): Promise<number[]> {
  const times: number[] = [];
  let seen = connection.received.length;
  while (clock.now() < untilMs) {
    await clock.settle();
    await clock.advance(Math.min(clock.nextTimerInMs ?? Infinity, untilMs - clock.now()));
    for (const packet of connection.received.slice(seen)) {
      if (packet.cmd !== 'pingreq') continue;
      times.push(clock.now());
      if (answerMs === 0) connection.pingresp();
      else clock.startTimer(() => connection.pingresp(), answerMs);
    }
    seen = connection.received.length;
  }
  return times;
}

/** A message now and then, from either side. */
function every(clock: VirtualClock, intervalMs: number, times: number, act: (index: number) => void): void {
  for (let i = 1; i <= times; i++) clock.startTimer(() => act(i), i * intervalMs);
}

test.each([0.01, -1, 1.5, 65_536, Number.NaN, Infinity, '60', null])('R2: keepAliveSeconds %s is rejected', (value) => {
  expect(() => new EventLoop({ keepAliveSeconds: value as number })).toThrow(
    expect.objectContaining({ issues: [expect.objectContaining({ option: 'keepAliveSeconds' })] }) as MqttOptionsError,
  );
});

test.each([0, 1, 5, 65_535])('R2: keepAliveSeconds %i is accepted and announced', async (keepAliveSeconds) => {
  const { connect } = scriptedLoop({ keepAliveSeconds });
  expect((await connect()).connectPacket?.keepalive).toBe(keepAliveSeconds);
});

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test('R3: keep alive 1 s, idle: a PINGREQ every second', async () => {
    const { clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 1 });
    const connection = await connect();
    expect(await pingTimes(clock, connection, 4_500)).toEqual([1_000, 2_000, 3_000, 4_000]);
    expect(connection.open).toBe(true);
  });

  test('R4: keep alive 5 s: QoS 0 publishes that flow out do not replace the PINGREQ', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 5 });
    const connection = await connect();
    every(clock, 1_000, 16, () => void loop.publish('hello/world', 'x').catch(() => {}));
    expect(await pingTimes(clock, connection, 16_500)).toEqual([5_000, 10_000, 15_000]);
    expect(loop.stats().publishesSent).toBe(16);
  });

  test('[MQTT-3.1.2-20] R5: keep alive 5 s: messages that flow in do not replace the PINGREQ, which the broker waits for', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 5 });
    const connection = await connect();
    loop.onMessage(() => {});
    every(clock, 1_000, 16, () => connection.publish({ topic: 'hello/world' }));
    expect(await pingTimes(clock, connection, 16_500)).toEqual([5_000, 10_000, 15_000]);
    expect(loop.stats().messagesReceived).toBe(16);
  });

  test('R6: a black hole is found 1.5 x keep alive after the last byte', async () => {
    const { clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 5 });
    const connection = await connect();
    connection.halfOpen();
    await clock.advance(7_499);
    expect(disconnected).toEqual([]);
    await clock.advance(1);
    expect(disconnected).toHaveLength(1);
    expect(disconnected[0]!.cause).toBeInstanceOf(MqttKeepAliveTimeoutError);
    expect(disconnected[0]!.cause).toMatchObject({ keepAliveSeconds: 5, silentMs: 7_500 });
  });

  test('R6: writes that succeed do not hide a black hole', async () => {
    const { loop, clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 5 });
    const connection = await connect();
    connection.halfOpen();
    every(clock, 500, 14, () => void loop.publish('hello/world', 'x').catch(() => {}));
    await clock.advance(7_499);
    expect(loop.stats().publishesCompleted).toBe(14);
    expect(disconnected).toEqual([]);
    await clock.advance(1);
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT' } }]);
  });

  test('S4: keep alive 5 s, a message at 2 s, answers half a second late: a PINGREQ every 5 s', async () => {
    const { clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 5 });
    const connection = await connect();
    clock.startTimer(() => connection.publish({ topic: 'hello/world' }), 2_000);
    expect(await pingTimes(clock, connection, 16_000, 510)).toEqual([5_000, 10_000, 15_000]);
    expect(connection.open).toBe(true);
  });

  test('no PINGREQ while messages are acknowledged, one a keep alive after the last', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 3 });
    const connection = await connect();
    loop.onMessage(() => {});
    every(clock, 1_000, 5, (messageId) => connection.publish({ topic: 'hello/world', qos: 1, messageId }));
    expect(await pingTimes(clock, connection, 10_500)).toEqual([8_000]);
    expect(connection.received.filter(({ cmd }) => cmd === 'puback')).toHaveLength(5);
  });

  test('keep alive 0: no PINGREQ, no timer, and silence is no failure', async () => {
    const { clock, connect } = scriptedLoop({ protocolVersion, keepAliveSeconds: 0 });
    const connection = await connect();
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(86_400_000);
    await connection.nothing(clock);
    expect(connection.open).toBe(true);
  });

  test('any byte that comes is a sign of life, be it a part of a packet', async () => {
    const { clock, connect, disconnected } = scriptedLoop({ protocolVersion, keepAliveSeconds: 4 });
    const connection = await connect();
    const packet = Buffer.concat([Buffer.from([0x30, 43, 0, 1, 0x61]), Buffer.alloc(40)]);
    for (let sent = 0; sent < packet.length; sent++) {
      await clock.advance(1_900);
      connection.send(packet.subarray(sent, sent + 1));
    }
    await clock.settle();
    expect(disconnected).toEqual([]);
    expect(connection.open).toBe(true);
  });
});

test.each([1, 2, 5, 60, 3_600])('R6: with keep alive %i s half-open is found within 1.5 of it', async (seconds) => {
  const { clock, connect, disconnected } = scriptedLoop({
    keepAliveSeconds: seconds,
    reconnect: { policy: 'never' },
  });
  (await connect()).halfOpen();
  await clock.advance(seconds * 1_000);
  expect(disconnected).toEqual([]);
  await clock.advance(seconds * 500);
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT' } }]);
});

test('pingTimeoutMs is how long a PINGRESP may take', async () => {
  const { clock, connect, disconnected } = scriptedLoop({ keepAliveSeconds: 10, pingTimeoutMs: 700 });
  const connection = await connect();
  expect(await pingTimes(clock, connection, 20_100, 99)).toEqual([10_000, 20_000]);
  connection.halfOpen();
  // The next PINGREQ is due at 30 s.
  await clock.advance(10_599);
  expect(disconnected).toEqual([]);
  await clock.advance(1);
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT' } }]);
});

test("[MQTT-3.1.2-21] [MQTT-3.2.2-21] the server's keep alive wins, for this connection only", async () => {
  const { loop, broker, clock, connect } = scriptedLoop({ keepAliveSeconds: 10, reconnect: { jitter: 'none' } });
  const first = await connect({ properties: { serverKeepAlive: 2 } });
  expect(loop.negotiated?.keepAliveSeconds).toBe(2);
  expect(await pingTimes(clock, first, 5_000)).toEqual([2_000, 4_000]);
  first.cut();
  await clock.advance(1_000);
  const second = await broker.acceptConnected();
  expect(second.connectPacket?.keepalive).toBe(10);
  await clock.settle();
  const since = clock.now();
  expect(await pingTimes(clock, second, since + 11_000)).toEqual([since + 10_000]);
});

test('the server can switch keep alive off', async () => {
  const { loop, clock, connect } = scriptedLoop({ keepAliveSeconds: 10 });
  const connection = await connect({ properties: { serverKeepAlive: 0 } });
  connection.halfOpen();
  await clock.advance(3_600_000);
  expect(loop.status).toBe('connected');
  expect(connection.received.filter(({ cmd }) => cmd === 'pingreq')).toEqual([]);
});

test('the server can switch keep alive on', async () => {
  const { clock, connect, disconnected } = scriptedLoop({ keepAliveSeconds: 0 });
  const connection = await connect({ properties: { serverKeepAlive: 4 } });
  expect(await pingTimes(clock, connection, 4_500)).toEqual([4_000]);
  connection.halfOpen();
  await clock.advance(6_000);
  expect(disconnected).toHaveLength(1);
});

test('a blocked thread is not a dead link: after a late timer the answer that lies in the socket counts', async () => {
  const clock = new LateClock();
  const { connect, disconnected } = scriptedLoop({ keepAliveSeconds: 4 }, { clock });
  const connection = await connect();
  await clock.settle();
  // The thread blocks while PINGREQ is on its way: the timer of its deadline, due at 6 s, comes at 26 s.
  clock.latenessMs = 20_000;
  await clock.advance(4_000);
  expect(connection.received.at(-1)?.cmd).toBe('pingreq');
  clock.latenessMs = 0;
  await clock.advance(22_000);
  expect(disconnected).toEqual([]);
  connection.pingresp();
  connection.autoPing = true;
  await clock.advance(30_000);
  expect(disconnected).toEqual([]);
  expect(connection.open).toBe(true);
});

test('a dead link stays dead behind a blocked thread: there is one grace of a second, and no second one', async () => {
  const clock = new LateClock();
  const { connect, disconnected } = scriptedLoop({ keepAliveSeconds: 4 }, { clock });
  (await connect()).halfOpen();
  await clock.settle();
  clock.latenessMs = 20_000;
  await clock.advance(4_000);
  // The timer of the grace is late too.
  clock.latenessMs = 500;
  await clock.advance(22_000);
  expect(disconnected).toEqual([]);
  await clock.advance(1_500);
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT' } }]);
});
