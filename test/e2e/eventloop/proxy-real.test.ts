import { EventLoop, type EventLoopOptions, type MqttError } from 'nestjs-rumqtt/eventloop';
import { expect, onTestFinished, test } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { freePort } from '../../fixtures/ports.js';
import { describeWithTinyproxy, Tinyproxy } from '../../fixtures/tinyproxy.js';

function loopThrough(url: string, proxy: EventLoopOptions['proxy'], options: EventLoopOptions = {}): EventLoop {
  const loop = new EventLoop({ url, proxy, ...options });
  onTestFinished(() => loop.shutdown({ drainTimeoutMs: 0 }).then(() => undefined));
  return loop;
}

const failure = (loop: EventLoop): Promise<MqttError> =>
  loop.start().then(
    () => expect.unreachable('the loop started'),
    (error: unknown) => error as MqttError,
  );

describeWithTinyproxy('through tinyproxy', () => {
  test('messages go both ways', async () => {
    await using broker = await AedesBroker.start();
    await using proxy = await Tinyproxy.start();
    const loop = loopThrough(broker.url, { url: proxy.url });
    const received = new Promise((resolve) => loop.onMessage(({ payload }) => resolve(payload.length)));
    await loop.start();
    await loop.subscribe('plant/#', { qos: 2 });
    await loop.publish('plant/7', Buffer.alloc(200_000), { qos: 2 });
    expect(await received).toBe(200_000);
    expect(proxy.log).toContain(`CONNECT 127.0.0.1:${broker.port}`);
  });

  test('Basic authentication: the right password is let in; a wrong one and none are errors that say so', async () => {
    await using broker = await AedesBroker.start();
    await using proxy = await Tinyproxy.start({ basicAuthentication: { username: 'plant', password: 'right' } });
    const { url } = proxy;
    await loopThrough(broker.url, { url, credentials: { username: 'plant', password: 'right' } }).start();
    await loopThrough(broker.url, { url: url.replace('//', '//plant:right@') }).start();
    const refused = { code: 'MQTT_PROXY', problem: 'credentials', proxy: url };
    const wrong = await failure(
      loopThrough(broker.url, { url, credentials: { username: 'plant', password: 'wrong' } }),
    );
    expect(wrong).toMatchObject({ ...refused, status: 401 });
    expect(wrong.message).toContain('did not accept the proxy credentials');
    const missing = await failure(loopThrough(broker.url, { url }));
    expect(missing).toMatchObject({ ...refused, status: 407 });
    expect(missing.message).toContain('asks for proxy credentials: 407 Proxy Authentication Required (it takes Basic)');
  });

  test('a port that it does not allow, and a broker that it does not reach, are refusals with its status', async () => {
    await using broker = await AedesBroker.start();
    await using proxy = await Tinyproxy.start({ connectPorts: [443] });
    expect(await failure(loopThrough(broker.url, { url: proxy.url }))).toMatchObject({
      problem: 'refused',
      status: 403,
    });
    await using open = await Tinyproxy.start();
    const nobody = `mqtt://127.0.0.1:${await freePort()}`;
    expect(await failure(loopThrough(nobody, { url: open.url }))).toMatchObject({
      code: 'MQTT_PROXY',
      problem: 'refused',
      status: expect.toSatisfy((status: number) => status >= 500) as number,
    });
  });

  test('a proxy that is killed and started again costs no message', async () => {
    await using broker = await AedesBroker.start();
    await using proxy = await Tinyproxy.start();
    const numbers = Array.from({ length: 300 }, (_, index) => `${index}`);
    const missing = new Set(numbers);
    // aedes acknowledges a publish a little before it tells of it.
    const allArrived = new Promise<void>((resolve) => {
      broker.aedes.on('publish', ({ topic, payload }) => {
        if (topic === 'plant/7' && missing.delete(payload.toString()) && missing.size === 0) resolve();
      });
    });
    const loop = loopThrough(
      broker.url,
      { url: proxy.url },
      { throttle: 1_000, reconnect: { policy: 'always', minDelayMs: 1, maxDelayMs: 50 } },
    );
    await loop.start();
    const published = numbers.map((number) => loop.publish('plant/7', number, { qos: 1 }));
    await published[100];
    await proxy.restart();
    await Promise.all(published);
    await allArrived;
    expect(missing.size).toBe(0);
    expect(loop.stats().connections).toBeGreaterThan(1);
  });
});
