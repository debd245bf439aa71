import { MqttConnectTimeoutError, type Credentials } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

describe.each([4, 5] as const)('protocol version %i', (protocolVersion) => {
  test.each([undefined, 5_000, 1])('R1: no CONNACK fails start at exactly connectTimeoutMs (%s)', async (option) => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, connectTimeoutMs: option });
    const connectTimeoutMs = option ?? 10_000;
    const started = watch(loop.start());
    const connection = await broker.accept();
    await connection.connect();

    await clock.advance(connectTimeoutMs - 0.5);
    expect(started.state).toBe('pending');
    await clock.advance(0.5);
    expect(started.error).toBeInstanceOf(MqttConnectTimeoutError);
    expect(started.error).toMatchObject({ timeoutMs: connectTimeoutMs, step: 'waiting for CONNACK' });
    await connection.closed();
    await connection.nothing(clock);
    expect(clock.pendingTimers).toBe(0);
  });

  test('half a CONNACK is none', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, connectTimeoutMs: 2_000 });
    const started = watch(loop.start());
    const connection = await broker.accept();
    await connection.connect();
    await clock.advance(1_999);
    connection.send(Buffer.from([0x20, protocolVersion === 5 ? 3 : 2, 0]));
    await clock.advance(1);
    expect(started.error).toBeInstanceOf(MqttConnectTimeoutError);
    await connection.closed();
  });

  test('a CONNACK just in time ends the deadline', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, connectTimeoutMs: 2_000, keepAliveSeconds: 0 });
    const started = watch(loop.start());
    const connection = await broker.accept();
    await connection.connect();
    await clock.advance(1_999);
    connection.connack();
    await clock.settle();
    expect(started.state).toBe('resolved');
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(60_000);
    expect(connection.open).toBe(true);
  });
});

test('a credentials provider that hangs is under the same deadline, and nothing is dialled for its late answer', async () => {
  let answer = (_credentials: Credentials): void => {};
  const { loop, broker, clock } = scriptedLoop({
    connectTimeoutMs: 3_000,
    credentials: () => new Promise((resolve) => (answer = resolve)),
  });
  const started = watch(loop.start());
  await clock.advance(2_999);
  expect(started.state).toBe('pending');
  await clock.advance(1);
  expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'asking for credentials' });
  answer({ username: 'late' });
  await clock.advance(10_000);
  expect(broker.dialled).toEqual([]);
});

test('a network that never answers is under the same deadline', async () => {
  const { loop, broker, clock } = scriptedLoop({ connectTimeoutMs: 3_000 });
  broker.blackholeNext();
  const started = watch(loop.start());
  await clock.advance(2_999);
  expect(started.state).toBe('pending');
  await clock.advance(1);
  expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'opening the network connection' });
  expect(broker.dialled).toHaveLength(1);
});

test('credentials, network and CONNACK share one deadline', async () => {
  const { loop, broker, clock } = scriptedLoop({
    connectTimeoutMs: 3_000,
    credentials: () => new Promise((resolve) => clock.startTimer(() => resolve({ username: 'slow' }), 2_000)),
  });
  const started = watch(loop.start());
  await clock.advance(2_000);
  const connection = await broker.accept();
  await connection.connect();
  await clock.advance(999);
  expect(started.state).toBe('pending');
  await clock.advance(1);
  expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'waiting for CONNACK' });
  await connection.closed();
});

test('the second CONNECT of a version fallback does not get a deadline of its own', async () => {
  const { loop, broker, clock } = scriptedLoop({ connectTimeoutMs: 3_000, protocolVersion: 'auto' });
  const started = watch(loop.start());
  const first = await broker.accept();
  await first.connect();
  await clock.advance(2_000);
  first.connack({ reasonCode: 0x84 });
  const second = await broker.accept();
  expect((await second.connect()).protocolVersion).toBe(4);
  await clock.advance(999);
  expect(started.state).toBe('pending');
  await clock.advance(1);
  expect(started.error).toBeInstanceOf(MqttConnectTimeoutError);
});

test('under "always" a timeout is one failed attempt: start resolves and the next attempt connects', async () => {
  const { loop, broker, clock, disconnected } = scriptedLoop({
    connectTimeoutMs: 3_000,
    reconnect: { policy: 'always', jitter: 'none', minDelayMs: 1_000 },
  });
  const started = watch(loop.start());
  await (await broker.accept()).connect();
  await clock.advance(3_000);
  expect(started.state).toBe('resolved');
  expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CONNECT_TIMEOUT' }, willRetryInMs: 1_000 }]);
  await clock.advance(1_000);
  await broker.acceptConnected();
  await clock.settle();
  expect(loop.status).toBe('connected');
});
