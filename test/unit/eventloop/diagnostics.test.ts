import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { MqttRefusedError, type PublishDiagnostic } from 'nestjs-rumqtt/eventloop';
import { describe, expect, it, onTestFinished } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

/** What a channel tells until the end of the test. */
function listen<T>(name: string): T[] {
  const told: T[] = [];
  const listener = (message: unknown): void => void told.push(message as T);
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return told;
}

describe('the diagnostics channels of an event loop', () => {
  it('tell its events, and whose they are', async () => {
    const connected = listen('nestjs-rumqtt:connected');
    const closed = listen('nestjs-rumqtt:closed');
    const paused = listen('nestjs-rumqtt:paused');
    const { loop, connect } = scriptedLoop({ clientId: 'plant-7', url: 'mqtt://device:hunter2@localhost' });
    const connection = await connect();
    const pausing = loop.pause();
    await connection.next('disconnect');
    await pausing;

    expect(connected).toEqual([
      { clientId: 'plant-7', negotiated: loop.negotiated ?? expect.anything(), sessionPresent: false, attempt: 1 },
    ]);
    expect(paused).toEqual([{ clientId: 'plant-7' }]);
    expect(JSON.stringify(connected)).not.toContain('hunter2');
    expect(closed).toEqual([]);
  });

  it('tell how publishes end, and how long they took', async () => {
    const published = listen<PublishDiagnostic>('nestjs-rumqtt:publish');
    const { loop, clock, connect } = scriptedLoop({ clientId: 'plant-7' });
    const connection = await connect();
    const first = loop.publish('a', 'one', { qos: 1 });
    const second = loop.publish('b', 'three', { qos: 1 }).catch((error: unknown) => error);
    const packets = [await connection.next('publish'), await connection.next('publish')];
    await clock.advance(40);
    connection.puback(packets[0]!);
    await first;
    connection.puback(packets[1]!, { reasonCode: 0x87 });
    await second;

    expect(published).toEqual([
      { clientId: 'plant-7', topic: 'a', qos: 1, payloadBytes: 3, durationMs: 40, error: undefined },
      { clientId: 'plant-7', topic: 'b', qos: 1, payloadBytes: 5, durationMs: 40, error: expect.any(MqttRefusedError) },
    ]);
  });
});

describe('the gauges of what is wrong just now', () => {
  it('count the time without a connection', async () => {
    const { loop, clock, broker, connect } = scriptedLoop({ keepAliveSeconds: 0, reconnect: { jitter: 'none' } });
    await clock.advance(70);
    expect(loop.stats()).toMatchObject({ connected: false, disconnectedForMs: 70 });
    const connection = await connect();
    expect(loop.stats()).toMatchObject({ connected: true, disconnectedForMs: 0 });

    connection.cut();
    await clock.settle();
    await clock.advance(300);
    expect(loop.stats()).toMatchObject({ connected: false, disconnectedForMs: 300 });

    await clock.advance(700);
    await broker.acceptConnected();
    await clock.settle();
    expect(loop.stats()).toMatchObject({ connected: true, disconnectedForMs: 0 });
  });

  it('tell how full the queue is, by number or by bytes', async () => {
    const { loop } = scriptedLoop({ requestCapacity: 10, requestCapacityBytes: 2_000 });
    expect(loop.stats().queueFill).toBe(0);
    for (let i = 0; i < 3; i++) loop.tryEnqueue('a', 'x');
    expect(loop.stats().queueFill).toBe(0.3);
    loop.tryEnqueue('a', Buffer.alloc(1_000));
    expect(loop.stats().queueFill).toBe(loop.stats().queuedBytes / 2_000);
  });

  it('tell whether the throttle holds something back', async () => {
    const { loop, clock, connect } = scriptedLoop({ throttle: 1, keepAliveSeconds: 0 });
    const connection = await connect();
    void loop.publish('a', '1');
    void loop.publish('a', '2');
    await connection.next('publish');
    await clock.settle();
    expect(loop.stats().throttled).toBe(true);
    await clock.advance(1_000);
    await connection.next('publish');
    await clock.settle();
    expect(loop.stats().throttled).toBe(false);
  });

  it('count the filters that the broker refused, until it grants them or they are given up', async () => {
    const { loop, connect } = scriptedLoop();
    const connection = await connect();
    const answer = async (filters: string[], codes: number[]): Promise<void> => {
      const subscribed = loop
        .subscribe(Object.fromEntries(filters.map((filter) => [filter, {}])))
        .catch(() => undefined);
      connection.suback(await connection.next('subscribe'), codes);
      await subscribed;
    };
    await answer(['a', 'b', 'c'], [0x87, 0x87, 0]);
    expect(loop.stats().refusedSubscriptions).toBe(2);
    await answer(['a'], [0]);
    expect(loop.stats().refusedSubscriptions).toBe(1);
    const given = loop.unsubscribe('b');
    connection.unsuback(await connection.next('unsubscribe'));
    await given;
    expect(loop.stats().refusedSubscriptions).toBe(0);
  });
});
