import type { EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import type { ScriptedConnection } from 'nestjs-rumqtt/testing';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

const RETRY_MS = 1_000;
const OPTIONS = {
  clean: false,
  reconnect: { minDelayMs: RETRY_MS, factor: 1, jitter: 'none' },
} satisfies EventLoopOptions;

async function subscribed(protocolVersion: 4 | 5) {
  const it = scriptedLoop({ ...OPTIONS, protocolVersion });
  const first = await it.connect();
  const done = it.loop.subscribe('a', { qos: 1 });
  first.suback(await first.next('subscribe'));
  await done;
  first.cut();
  await it.clock.advance(RETRY_MS);
  const second: ScriptedConnection = await it.broker.accept();
  await second.connect();
  return { ...it, second };
}

test.each([4, 5] as const)(
  'MQTT %i: a CONNECT without an answer may have begun another session, so the subscriptions are made again in the one that is present',
  async (protocolVersion) => {
    const { loop, broker, clock, second } = await subscribed(protocolVersion);
    const published = loop.publish('b', 'after the subscriptions', { qos: 1 });
    // The broker had lost the session and begun another one; its CONNACK never arrives.
    second.cut();
    await clock.advance(RETRY_MS);
    const third = await broker.acceptConnected({ sessionPresent: true });
    const subscribe = await third.next('subscribe');
    expect(subscribe.subscriptions).toMatchObject([{ topic: 'a', qos: 1 }]);
    third.suback(subscribe);
    third.puback(await third.next('publish'));
    await published;

    third.cut();
    await clock.advance(RETRY_MS);
    // Now all is known again.
    await (await broker.acceptConnected({ sessionPresent: true })).nothing(clock);
  },
);

test.each([4, 5] as const)(
  'MQTT %i: a refused CONNECT began nothing, so nothing is made again',
  async (protocolVersion) => {
    const { broker, clock, second } = await subscribed(protocolVersion);
    second.connack(protocolVersion === 5 ? { reasonCode: 0x88 } : { returnCode: 3 });
    await clock.advance(RETRY_MS);
    const third = await broker.acceptConnected({ sessionPresent: true });
    await third.nothing(clock);
    expect(third.received.map(({ cmd }) => cmd)).toEqual(['connect']);
  },
);
