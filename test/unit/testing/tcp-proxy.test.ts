import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ScriptedBroker, VirtualClock } from '../../../lib/testing/index.js';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';
import { RawClient } from './raw-client.js';

let broker: ScriptedBroker;
let proxy: TcpProxy;

beforeEach(async () => {
  broker = new ScriptedBroker();
  const { port } = new URL(await broker.listen());
  proxy = await TcpProxy.start(Number(port));
});

afterEach(async () => {
  await proxy.stop();
  await broker.close();
});

async function connected(): Promise<[RawClient, Awaited<ReturnType<ScriptedBroker['acceptConnected']>>]> {
  const client = RawClient.tcp(proxy.port);
  client.connect();
  const connection = await broker.acceptConnected();
  await client.until('connack');
  return [client, connection];
}

describe('TcpProxy', () => {
  it('forwards both directions and both ends of stream', async () => {
    const [client, connection] = await connected();
    client.publish(1, { payload: Buffer.alloc(300_000, 'x') });
    const publish = await connection.next('publish');
    expect(publish.payload).toHaveLength(300_000);
    connection.puback(publish);
    await client.until('puback');
    connection.end();
    await client.closed();
    expect(client.error).toBeUndefined();
    expect(proxy.connections).toBe(1);
    expect(proxy.bytes.down).toBe(8);
    const [second, other] = await connected();
    second.stream.end();
    await other.closed();
    await second.closed();
  });

  it('cuts every link, and lets new ones through', async () => {
    const [client, connection] = await connected();
    proxy.cut();
    await client.closed();
    await connection.closed();
    expect(client.error?.code).toBe('ECONNRESET');
    await connected();
    expect(proxy.links).toBe(1);
  });

  it('cuts after an exact number of bytes, which still arrive', async () => {
    const [client, connection] = await connected();
    const { up } = proxy.bytes;
    proxy.cutAfter(5, 'up');
    client.publish(1, { payload: 'never complete' });
    await client.closed();
    await connection.closed();
    expect(proxy.bytes.up - up).toBe(5);
    expect(connection.received).toHaveLength(1);
    const [again, next] = await connected();
    again.publish(1, { payload: 'complete' });
    await next.next('publish');
  });

  it('loses everything of a half-open link for good', async () => {
    const [client, connection] = await connected();
    proxy.blackhole();
    client.publish(1);
    connection.pingresp();
    const silent = RawClient.tcp(proxy.port);
    silent.connect();
    await expect(connection.nothing()).resolves.toBeUndefined();
    proxy.endBlackhole();
    client.publish(2);
    await connected();
    await expect(connection.nothing()).resolves.toBeUndefined();
    expect(client.stream.destroyed).toBe(false);
    expect(client.received).toHaveLength(1);
    expect(silent.received).toHaveLength(0);
  });

  it('holds bytes back while it is paused and loses none', async () => {
    const [client, connection] = await connected();
    proxy.pause();
    client.publish(1);
    await connection.nothing();
    proxy.resume();
    expect(await connection.next('publish')).toMatchObject({ messageId: 1 });
  });

  it('throttles to a rate', async () => {
    const [client, connection] = await connected();
    proxy.throttle(50_000);
    const startedMs = performance.now();
    client.publish(1, { payload: Buffer.alloc(10_000, 'x') });
    expect((await connection.next('publish')).payload).toEqual(Buffer.alloc(10_000, 'x'));
    // The last piece is not waited for.
    expect(performance.now() - startedMs).toBeGreaterThan(150);
    proxy.throttle();
    client.publish(2, { payload: Buffer.alloc(1_000_000) });
    await connection.next('publish');
  });

  it('refuses connections while it is down, and has the same port when it is up', async () => {
    const [client] = await connected();
    const { port } = proxy;
    await proxy.down();
    await client.closed();
    const refused = RawClient.tcp(port);
    await refused.closed();
    expect(refused.error?.code).toBe('ECONNREFUSED');
    await proxy.up();
    expect(proxy.port).toBe(port);
    await connected();
  });

  it('resets a client whose broker cannot be reached', async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    await using orphan = await TcpProxy.start(port);
    const client = RawClient.tcp(orphan.port);
    await client.closed();
    await new VirtualClock().settle();
    expect(orphan.links).toBe(0);
  });
});
