import { EventLoop } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop, type ScriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const url = ['mqtt://a', 'mqtt://b', 'mqtt://c'];
const timing = { jitter: 'none', minDelayMs: 1_000, factor: 1, stableAfterMs: 30_000 } as const;
const [a, b, c] = ['mqtt://a:1883', 'mqtt://b:1883', 'mqtt://c:1883'];

/** A loop whose first server was away when it started. */
async function atSecond(preferFirst: boolean | { returnAfterMs?: number } = true) {
  const scripted: ScriptedLoop = scriptedLoop({ url, reconnect: { ...timing, preferFirst }, keepAliveSeconds: 0 });
  scripted.broker.refuseNext();
  const connection = await scripted.connect();
  expect(scripted.broker.dialled).toEqual([a, b]);
  return { ...scripted, connection };
}

test('every round begins with the first URL', async () => {
  const { broker, clock, connection } = await atSecond();
  await clock.advance(60_000);
  broker.down();
  connection.cut();
  await clock.advance(1_000);
  expect(broker.dialled.slice(2)).toEqual([a, b, c]);
  await clock.advance(1_000);
  expect(broker.dialled.slice(5)).toEqual([a, b, c]);
});

test('without the option a round begins where the last one ended', async () => {
  const { broker, clock, connection } = await atSecond(false);
  await clock.advance(10 * 300_000);
  expect(broker.dialled).toEqual([a, b]);
  broker.down();
  connection.cut();
  await clock.advance(1_000);
  expect(broker.dialled.slice(2)).toEqual([c, a, b]);
});

test('a first server that drops us at once does not keep us from the others', async () => {
  const { broker, clock, connect } = scriptedLoop({ url, reconnect: { ...timing, preferFirst: true } });
  const first = await connect();
  first.cut();
  const second = broker.acceptConnected();
  await clock.advance(1_000);
  await second;
  expect(broker.dialled).toEqual([a, b]);
});

test('from a later server the loop returns once the first can be reached, and stays while it cannot', async () => {
  const { broker, clock, connection, disconnected, connected } = await atSecond({ returnAfterMs: 60_000 });
  broker.refuseNext();
  await clock.advance(60_000);
  expect(broker.dialled).toEqual([a, b, a]);
  expect(connected).toHaveLength(1);
  await clock.advance(59_999);
  expect(broker.dialled).toHaveLength(3);
  await clock.advance(1);
  // A look, which sends nothing.
  const look = await broker.accept();
  await look.closed();
  await connection.next('disconnect');
  await connection.closed();
  await broker.acceptConnected();
  await clock.settle();
  expect(broker.dialled).toEqual([a, b, a, a, a]);
  expect(connected[1]).toMatchObject({ negotiated: { server: a } });
  expect(disconnected.at(-1)).toMatchObject({
    willRetryInMs: 0,
    cause: { code: 'MQTT_INVALID_STATE', message: `the event loop returns to ${a}` },
  });
  await clock.advance(600_000);
  expect(broker.dialled).toHaveLength(5);
});

test('the return loses nothing: what is under way ends first, what comes later goes to the first server', async () => {
  const { loop, broker, clock, connection } = await atSecond({ returnAfterMs: 60_000 });
  const before = watch(loop.publish('before', 'x', { qos: 2 }));
  const publish = await connection.next('publish');
  await clock.advance(60_000);
  await (await broker.accept()).closed();
  const later = watch(loop.publish('later', 'x', { qos: 1 }));
  await clock.settle();
  await connection.nothing(clock);
  connection.pubrec(publish);
  connection.pubcomp(await connection.next('pubrel'));
  await connection.next('disconnect');
  await connection.closed();
  expect(before.state).toBe('resolved');
  const first = await broker.acceptConnected();
  first.puback(await first.next('publish'));
  await clock.settle();
  expect(later.state).toBe('resolved');
});

test('a first server that refuses us after all leads on to the next, and the loop looks again later', async () => {
  const { broker, clock, connection } = await atSecond({ returnAfterMs: 60_000 });
  await clock.advance(60_000);
  await (await broker.accept()).closed();
  await connection.next('disconnect');
  await connection.closed();
  const refused = await broker.accept();
  await refused.connect();
  refused.connack({ reasonCode: 0x88 });
  await broker.acceptConnected();
  expect(broker.dialled.slice(2)).toEqual([a, a, b]);
  broker.refuseNext();
  await clock.advance(60_000);
  expect(broker.dialled.slice(5)).toEqual([a]);
});

test('a pause ends the waiting and the looking', async () => {
  const { loop, broker, clock, connection } = await atSecond({ returnAfterMs: 60_000 });
  const paused = loop.pause();
  await connection.next('disconnect');
  await connection.closed();
  await paused;
  await clock.advance(600_000);
  expect(broker.dialled).toEqual([a, b]);
});

test('a first URL with SRV records is looked up for the look', async () => {
  const asked: string[] = [];
  const resolveSrv = async (name: string) => {
    asked.push(name);
    return [{ name: 'one.example', port: 1_884, priority: 0, weight: 0 }];
  };
  const { broker, clock, connect } = scriptedLoop(
    { url: ['mqtt+srv://example', 'mqtt://b'], reconnect: { ...timing, preferFirst: true }, keepAliveSeconds: 0 },
    { resolveSrv },
  );
  broker.refuseNext();
  await connect();
  await clock.advance(300_000);
  expect(broker.dialled).toEqual(['mqtt://one.example:1884', b, 'mqtt://one.example:1884', 'mqtt://one.example:1884']);
  expect(asked).toHaveLength(3);
});

test.each([['yes'], [null], [5], [{ returnAfterMs: 999 }], [{ returnAfterMs: '5 min' }], [{ after: 5 }]])(
  'preferFirst: %o is an error at construction',
  (preferFirst) => {
    expect(() => new EventLoop({ reconnect: { preferFirst: preferFirst as never } })).toThrow(/reconnect\.preferFirst/);
  },
);
