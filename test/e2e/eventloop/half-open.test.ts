import { EventLoop } from 'nestjs-rumqtt/eventloop';
import type { VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, test } from 'vitest';
import { describeWithMosquitto, Mosquitto } from '../../fixtures/mosquitto.js';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';
import { watch } from '../../fixtures/watch.js';

const KEEP_ALIVE_SECONDS = 10;
const FOUND_WITHIN_MS = 1.5 * KEEP_ALIVE_SECONDS * 1_000;

/** What the client does while the peer is dead. */
const traffic = [
  ['idle', () => undefined],
  ['publishing QoS 0', (loop: EventLoop) => void loop.publish('a', 'x', { qos: 0 }).catch(() => undefined)],
  ['publishing QoS 1', (loop: EventLoop) => void loop.publish('a', 'x', { qos: 1 }).catch(() => undefined)],
  ['publishing QoS 2', (loop: EventLoop) => void loop.publish('a', 'x', { qos: 2 }).catch(() => undefined)],
  ['subscribing', (loop: EventLoop) => void loop.subscribe('a').catch(() => undefined)],
] as const;

/** Calls `act` twice a second until the returned function is called. */
function twiceASecond(clock: VirtualClock, act: () => void): () => void {
  let timer = clock.startTimer(tick, 500);
  function tick(): void {
    act();
    timer = clock.startTimer(tick, 500);
  }
  return () => timer.cancel();
}

describe.each([4, 5] as const)('R4: a half-open link, protocol version %i', (protocolVersion) => {
  test.each(traffic)(
    '%s: is found within 1.5 x keep alive of the last byte, wherever in the interval it breaks',
    async (_name, act) => {
      // The last byte may have come at any time before the break.
      for (const breaksAfterMs of [1, 4_000, 9_999, 10_001, 12_000]) {
        const { loop, broker, clock, connect, disconnected } = scriptedLoop({
          protocolVersion,
          keepAliveSeconds: KEEP_ALIVE_SECONDS,
          reconnect: { policy: 'never' },
        });
        const connection = await connect();
        connection.autoPing = true;
        const stop = twiceASecond(clock, () => act(loop));
        await clock.advance(breaksAfterMs);
        const lastByteMs = breaksAfterMs < 10_000 ? 0 : 10_000;
        connection.halfOpen();
        await clock.advance(lastByteMs + FOUND_WITHIN_MS - clock.now() - 1);
        expect(disconnected).toEqual([]);
        await clock.advance(1);
        stop();
        expect(disconnected).toMatchObject([
          {
            cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT', keepAliveSeconds: KEEP_ALIVE_SECONDS, silentMs: FOUND_WITHIN_MS },
          },
        ]);
        expect(loop.status).toBe('closed');
        await broker.close();
      }
    },
  );

  test('what was in flight is sent again on the next connection and nothing is lost', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({
      protocolVersion,
      clean: false,
      keepAliveSeconds: KEEP_ALIVE_SECONDS,
      reconnect: { jitter: 'none' },
    });
    const connection = await connect();
    connection.halfOpen();
    const published = watch(loop.publish('a', 'swallowed', { qos: 1 }));
    // The socket takes it: a successful write proves nothing.
    const written = watch(loop.publish('a', 'gone'));
    await clock.advance(FOUND_WITHIN_MS);
    expect([published.state, written.state]).toEqual(['pending', 'resolved']);
    await clock.advance(1_000);
    const next = await broker.acceptConnected({ sessionPresent: true });
    const packet = await next.next('publish');
    expect(packet).toMatchObject({ dup: true, payload: Buffer.from('swallowed') });
    next.puback(packet);
    await clock.settle();
    expect(published.state).toBe('resolved');
  });

  test('a peer that dies during the handshake is found by connectTimeoutMs', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion, connectTimeoutMs: 3_000 });
    const started = watch(loop.start());
    const connection = await broker.accept();
    connection.halfOpen();
    await clock.advance(2_999);
    expect(started.state).toBe('pending');
    await clock.advance(1);
    expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT' });
  });
});

test("MQTT 5: the server's keep alive wins over ours, in both directions", async () => {
  for (const serverKeepAlive of [2, 30]) {
    const { broker, clock, connect, disconnected } = scriptedLoop({
      keepAliveSeconds: KEEP_ALIVE_SECONDS,
      reconnect: { policy: 'never' },
    });
    const connection = await connect({ properties: { serverKeepAlive } });
    connection.halfOpen();
    await clock.advance(1_500 * serverKeepAlive - 1);
    expect(disconnected).toEqual([]);
    await clock.advance(1);
    expect(disconnected).toMatchObject([
      { cause: { code: 'MQTT_KEEP_ALIVE_TIMEOUT', keepAliveSeconds: serverKeepAlive } },
    ]);
    await broker.close();
  }
});

describeWithMosquitto('R4: a half-open link to Mosquitto', () => {
  test.each(traffic)('%s: is found, and the loop comes back by itself', { timeout: 60_000 }, async (_name, act) => {
    await using broker = await Mosquitto.start();
    await using proxy = await TcpProxy.start(broker.port);
    const loop = new EventLoop({ url: proxy.url, keepAliveSeconds: 1, reconnect: { minDelayMs: 50, maxDelayMs: 100 } });
    await loop.start();
    const busy = setInterval(() => act(loop), 50);
    const lost = new Promise((resolve) => loop.on('disconnected', resolve));
    const back = new Promise<void>((resolve) => loop.on('connected', () => resolve()));
    proxy.blackhole();
    expect(await lost).toMatchObject({ cause: { name: 'MqttKeepAliveTimeoutError', code: 'MQTT_KEEP_ALIVE_TIMEOUT' } });
    proxy.endBlackhole();
    proxy.cut();
    await back;
    await loop.publish('a', 'works again', { qos: 1 });
    clearInterval(busy);
    await loop.shutdown({ drainTimeoutMs: 0 });
  });
});
