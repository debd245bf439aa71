import { EventLoop, MqttOptionsError, type EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { ScriptedBroker } from 'nestjs-rumqtt/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

const FIXED_BYTES = 12;
const USERNAME = 0x80;
const PASSWORD = 0x40;
const RETAIN = 0x20;
const WILL = 0x04;
const CLEAN = 0x02;

/** A string or binary field with its length in front. */
const field = (text: string): Buffer => Buffer.concat([Buffer.from([0, Buffer.byteLength(text)]), Buffer.from(text)]);

/** CONNECT taken apart by hand, as far as it has the same form on both versions. */
async function connectBytes(options: EventLoopOptions, protocolVersion: 4 | 5) {
  const { loop, broker } = scriptedLoop({ clientId: 'ünit', protocolVersion, ...options });
  loop.start().catch(() => {});
  const { raw } = await (await broker.accept()).connect();
  const propertyBytes = protocolVersion === 5 ? 1 + raw[FIXED_BYTES]! : 0;
  return {
    header: raw[0]!,
    name: raw.subarray(2, 8),
    version: raw[8]!,
    flags: raw[9]!,
    payload: raw.subarray(FIXED_BYTES + propertyBytes),
  };
}

describe.each([4, 5] as const)('CONNECT of version %i', (protocolVersion) => {
  test('[MQTT-3.1.0-1] [MQTT-3.1.0-2] it comes first and once, whatever was asked for before', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    const waiting = [loop.publish('a', 'x'), loop.publish('a', 'x', { qos: 2 }), loop.subscribe('a')];
    const started = loop.start();
    const connection = await broker.accept();
    await connection.connect();
    // We also wait for CONNACK, which the specification leaves to us.
    await connection.nothing(clock);
    connection.connack();
    await started;
    connection.suback(await connection.next('subscribe'));
    await connection.next('publish');
    connection.pubrec(await connection.next('publish'));
    connection.pubcomp(await connection.next('pubrel'));
    await Promise.all(waiting);
    expect(connection.received.filter(({ cmd }) => cmd === 'connect')).toHaveLength(1);
  });

  test('[MQTT-3.1.2-1] [MQTT-3.1.2-2] [MQTT-3.1.2-3] it names MQTT and its version, and sets no reserved flag', async () => {
    for (const options of [{}, { clean: false, will: { topic: 'gone', payload: '', retain: true } }]) {
      const { header, name, version, flags } = await connectBytes(options, protocolVersion);
      expect([header, name, version, flags & 1]).toEqual([0x10, field('MQTT'), protocolVersion, 0]);
    }
  });

  test.each([
    ['[MQTT-3.1.2-16] [MQTT-3.1.2-18] without credentials', {}, CLEAN, []],
    ['[MQTT-3.1.2-17] [MQTT-3.1.2-18] with a user name', { username: 'ü' }, CLEAN | USERNAME, ['ü']],
    [
      '[MQTT-3.1.2-17] [MQTT-3.1.2-19] with user name and password',
      { username: 'u', password: 'p' },
      CLEAN | USERNAME | PASSWORD,
      ['u', 'p'],
    ],
    // MQTT 5 allows a password alone; an empty user name is legal on both.
    [
      '[MQTT-3.1.2-22 of 3.1.1] [MQTT-3.1.2-19] with a password alone',
      { password: 'p' },
      CLEAN | USERNAME | PASSWORD,
      ['', 'p'],
    ],
  ])('%s flags and fields agree', async (_what, credentials, flags, fields) => {
    const connect = await connectBytes({ credentials }, protocolVersion);
    expect(connect.flags).toBe(flags);
    expect(connect.payload).toEqual(Buffer.concat([field('ünit'), ...fields.map(field)]));
  });

  test.each([0, 1, 2] as const)(
    '[MQTT-3.1.2-9] [MQTT-3.1.2-12] [MQTT-3.1.3-1] [MQTT-3.1.3-11] [MQTT-3.1.3-12] a will of QoS %i, its fields before the credentials',
    async (qos) => {
      for (const retain of [false, true]) {
        const will = { topic: 'gone/ü', payload: 'will', qos, retain };
        const connect = await connectBytes({ will, credentials: { username: 'ü', password: 'p' } }, protocolVersion);
        expect(connect.flags).toBe(USERNAME | PASSWORD | (retain ? RETAIN : 0) | (qos << 3) | WILL | CLEAN);
        const properties = Buffer.alloc(protocolVersion === 5 ? 1 : 0);
        expect(connect.payload).toEqual(
          Buffer.concat([field('ünit'), properties, field('gone/ü'), field('will'), field('ü'), field('p')]),
        );
      }
    },
  );

  test('[MQTT-3.1.2-11] [MQTT-3.1.2-13] without a will there are no flags and no fields of one', async () => {
    const { flags, payload } = await connectBytes({ clean: false }, protocolVersion);
    expect(flags).toBe(0);
    expect(payload).toEqual(field('ünit'));
  });

  test('[MQTT-3.1.3-3] [MQTT-3.1.3-4] the client identifier is the first field, in UTF-8', async () => {
    const { payload } = await connectBytes({ clientId: 'é雪' }, protocolVersion);
    expect(payload).toEqual(field('é雪'));
  });

  test('[MQTT-3.1.3-2] another identifier is another session, although the server has kept one under it', async () => {
    const { loop, broker, connect } = scriptedLoop({ clientId: 'one', clean: false, protocolVersion });
    const first = await connect();
    const published = loop.publish('a', 'x', { qos: 1 });
    await first.next('publish');
    const changed = loop.reconnect({ clientId: 'two' });
    await first.next('disconnect');
    first.end();
    const second = await broker.acceptConnected({ sessionPresent: true });
    await changed;
    expect(second.connectPacket).toMatchObject({ clientId: 'two' });
    const publish = await second.next('publish');
    expect(publish.dup).toBe(false);
    second.puback(publish);
    await published;
  });

  test('[MQTT-3.1.3-7 of 3.1.1] it never has an empty client identifier, with a clean start or without', async () => {
    for (const clean of [true, false])
      expect(() => new EventLoop({ clientId: '', clean, protocolVersion })).toThrow(MqttOptionsError);
    const { payload } = await connectBytes({ clientId: undefined, clean: false }, protocolVersion);
    expect(payload.length).toBeGreaterThan(2);
  });

  test('[MQTT-3.2.2-7] [MQTT-4.13.2-1] refused, the connection is closed and nothing more is sent', async () => {
    const { loop, broker, clock } = scriptedLoop({ protocolVersion });
    loop.publish('a', 'x').catch(() => {});
    const started = loop.start().catch((error: unknown) => error);
    const connection = await broker.acceptConnected(protocolVersion === 5 ? { reasonCode: 0x87 } : { returnCode: 5 });
    expect(await started).toMatchObject({ code: 'MQTT_CONNECTION_REFUSED', reasonCode: 0x87 });
    await connection.closed();
    await clock.settle();
    expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect']);
  });

  test('[MQTT-4.2.0-1] [MQTT-7.0.0-2 of 3.1.1] over TCP, with nothing but what the specification has', async () => {
    const broker = new ScriptedBroker();
    const loop = new EventLoop({ url: await broker.listen(), protocolVersion });
    onTestFinished(async () => {
      await loop.shutdown({ drainTimeoutMs: 0 });
      await broker.close();
      broker.assertClean();
    });
    const started = loop.start();
    const connection = await broker.acceptConnected();
    await started;
    const subscribed = loop.subscribe('in');
    connection.suback(await connection.next('subscribe'));
    await subscribed;
    const message = new Promise((resolve) => loop.onMessage(({ payload }) => resolve(payload.toString())));
    await connection.sendChunked(
      { cmd: 'publish', topic: 'in', payload: 'in pieces', qos: 0, dup: false, retain: false },
      1,
    );
    expect(await message).toBe('in pieces');
    const published = loop.publish('out', 'x', { qos: 2 });
    connection.pubrec(await connection.next('publish'));
    connection.pubcomp(await connection.next('pubrel'));
    await published;
  });
});

test('[MQTT-4.12.0-6] an authentication in CONNACK that CONNECT did not offer ends the connection', async () => {
  for (const properties of [{ authenticationMethod: 'HMAC' }, { authenticationData: Buffer.from('x') }]) {
    const { loop, broker } = scriptedLoop();
    const started = loop.start().catch((error: unknown) => error);
    const connection = await broker.acceptConnected({ properties });
    expect(await started).toMatchObject({ code: 'MQTT_PROTOCOL_ERROR' });
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
    await connection.closed();
  }
});
