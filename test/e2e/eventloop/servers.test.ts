import { createServer, type AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventLoop, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { ScriptedBroker, VirtualClock } from 'nestjs-rumqtt/testing';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { freePort } from '../../fixtures/ports.js';
import { watch } from '../../fixtures/watch.js';

const lookup = vi.hoisted(() => vi.fn<(name: string, options: object) => Promise<unknown>>());
vi.mock('node:dns/promises', async (original) => {
  const real = await original<typeof import('node:dns/promises')>();
  lookup.mockImplementation((name, options) => real.lookup(name, options));
  return { ...real, lookup };
});

/** A broker that accepts everything on this address. */
async function listen(host: string, port = 0): Promise<{ broker: ScriptedBroker; port: number }> {
  const broker = new ScriptedBroker();
  broker.serve();
  const server = createServer({ allowHalfOpen: true }, (socket) => broker.attach(socket));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  onTestFinished(async () => {
    await broker.close();
    broker.assertClean();
    await new Promise((resolve) => server.close(resolve));
  });
  return { broker, port: (server.address() as AddressInfo).port };
}

function realLoop(options: EventLoopOptions): EventLoop {
  const loop = new EventLoop(options);
  onTestFinished(() => loop.shutdown({ drainTimeoutMs: 0 }).then(() => undefined));
  return loop;
}

describe('several urls', () => {
  const url = ['mqtt://a', 'mqtt://b:1884', 'mqtt://c'];
  const reconnect = { jitter: 'none', minDelayMs: 1_000, factor: 1 } as const;

  test('are tried in order without a wait; start rejects when all have failed', async () => {
    const { loop, broker, clock, disconnected } = scriptedLoop({ url, reconnect });
    broker.down();
    const started = watch(loop.start());
    await clock.settle();
    expect(broker.dialled).toEqual(['mqtt://a:1883', 'mqtt://b:1884', 'mqtt://c:1883']);
    expect(started.state).toBe('rejected');
    expect(disconnected.map(({ willRetryInMs }) => willRetryInMs)).toEqual([0, 0, undefined]);
  });

  test('the first that accepts is used', async () => {
    const { loop, broker, clock, connected } = scriptedLoop({ url, reconnect });
    broker.refuseNext();
    const started = watch(loop.start());
    await broker.acceptConnected();
    await clock.settle();
    expect(started.state).toBe('resolved');
    expect(connected).toMatchObject([{ attempt: 2, negotiated: { server: 'mqtt://b:1884' } }]);
  });

  test('a wait comes after each round, and after a loss the next one has its turn', async () => {
    const { loop, broker, clock } = scriptedLoop({ url, reconnect: { ...reconnect, policy: 'always' } });
    broker.down();
    void loop.start();
    await clock.advance(2_500);
    expect(broker.dialled).toHaveLength(9);
    broker.up();
    await clock.advance(500);
    const first = await broker.acceptConnected();
    await clock.settle();
    expect(loop.negotiated?.server).toBe('mqtt://a:1883');
    first.cut();
    await clock.advance(1_000);
    await broker.acceptConnected();
    await clock.settle();
    expect(loop.negotiated?.server).toBe('mqtt://b:1884');
  });

  test('reconnect({ url }) begins with the first of the new ones', async () => {
    const { loop, broker, clock, connect } = scriptedLoop({ url, reconnect });
    const first = await connect();
    const moved = watch(loop.reconnect({ url: ['mqtt://x', 'mqtt://y'] }));
    await first.next('disconnect');
    first.end();
    await broker.acceptConnected();
    await clock.settle();
    expect(moved.state).toBe('resolved');
    expect(loop.negotiated?.server).toBe('mqtt://x:1883');
  });

  test('user information in a URL is the credentials for that server, and appears nowhere else', async () => {
    const { loop, broker, clock, disconnected } = scriptedLoop({
      url: ['mqtt://anna:s3cret@a', 'mqtt://b'],
      reconnect,
    });
    void loop.start();
    const first = await broker.acceptConnected({ reasonCode: 0x88 });
    expect(first.connectPacket).toMatchObject({ username: 'anna', password: Buffer.from('s3cret') });
    const second = await broker.acceptConnected();
    expect(second.connectPacket?.username).toBeUndefined();
    await clock.settle();
    expect(JSON.stringify([disconnected, loop.negotiated, broker.dialled])).not.toMatch(/anna|s3cret/);
  });
});

describe('TCP', () => {
  test.each(['127.0.0.1', '::1'])('S10: %s is reached by its address', async (host) => {
    const { broker, port } = await listen(host);
    const loop = realLoop({ url: host.includes(':') ? `mqtt://[${host}]:${port}` : `mqtt://${host}:${port}` });
    await loop.start();
    await loop.publish('a', 'x', { qos: 1 });
    expect(broker.connections).toHaveLength(1);
    await loop.shutdown();
  });

  test('S10: localhost is reached by its name', async () => {
    const { port } = await listen('127.0.0.1');
    const loop = realLoop({ url: `mqtt://localhost:${port}` });
    await loop.start();
    expect(loop.negotiated?.server).toBe(`mqtt://localhost:${port}`);
    await loop.publish('a', 'x', { qos: 2 });
    await loop.shutdown();
  });

  test.each([
    { addresses: ['127.0.0.2', '127.0.0.3', '127.0.0.1'], reached: '127.0.0.1' },
    { addresses: ['127.0.0.2', '::1'], reached: '::1' },
    { addresses: ['::1', '127.0.0.1'], reached: '127.0.0.1' },
  ])('every address of a name is tried: $addresses, and only $reached listens', async ({ addresses, reached }) => {
    const { port } = await listen(reached);
    lookup.mockResolvedValueOnce(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    const loop = realLoop({ url: `mqtt://broker.example:${port}` });
    await loop.start();
    expect(lookup).toHaveBeenLastCalledWith('broker.example', { all: true });
    await loop.shutdown();
  });

  test('when none of them answers the error names each failure', async () => {
    const port = await freePort();
    lookup.mockResolvedValueOnce([
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.3', family: 4 },
    ]);
    const error = await realLoop({ url: `mqtt://broker.example:${port}` })
      .start()
      .catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
    expect((error as Error).message).toMatch(/broker\.example.*127\.0\.0\.2.*127\.0\.0\.3/);
  });

  test('a name that does not resolve fails the attempt and names the host', async () => {
    lookup.mockRejectedValueOnce(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere'), { code: 'ENOTFOUND' }));
    await expect(realLoop({ url: 'mqtt://nowhere' }).start()).rejects.toMatchObject({
      code: 'MQTT_CONNECT_FAILED',
      message: expect.stringContaining('mqtt://nowhere:1883') as string,
      cause: { code: 'ENOTFOUND' },
    });
  });

  test('a name is resolved under the connect deadline', async () => {
    const clock = new VirtualClock();
    lookup.mockReturnValueOnce(new Promise(() => {}));
    const loop = new EventLoop({ url: 'mqtt://slow', connectTimeoutMs: 5_000 }, { clock });
    const started = watch(loop.start());
    await clock.advance(4_999);
    expect(started.state).toBe('pending');
    await clock.advance(1);
    expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'opening the network connection' });
    await loop.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });
});

test('a network that ignores the deadline leaves nothing open behind it', async () => {
  const clock = new VirtualClock();
  const broker = new ScriptedBroker();
  let answer = (): void => {};
  const loop = new EventLoop(
    { connectTimeoutMs: 1_000 },
    {
      clock,
      dial: async (server) => {
        await new Promise<void>((resolve) => (answer = resolve));
        return broker.dial(server, new AbortController().signal);
      },
    },
  );
  const started = watch(loop.start());
  await clock.advance(1_000);
  expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT' });
  answer();
  await nextTurn();
  const late = await broker.accept();
  await late.closed();
  await late.nothing(clock);
  await loop.shutdown();
  await broker.close();
  expect(clock.pendingTimers).toBe(0);
});
