import type { IncomingMessage } from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';
import { scriptedLoop } from '../../../fixtures/scripted-loop.js';

const CONTINUE = 0x18;
const RE_AUTHENTICATE = 0x19;
const METHOD = { authenticationMethod: 'HMAC' };

describe.each([4, 5] as const)('leaving version %i', (protocolVersion) => {
  test('[MQTT-3.14.4-1] [MQTT-3.14.4-2] after DISCONNECT nothing is sent and the connection is closed', async () => {
    const { loop, clock, connect } = scriptedLoop({ protocolVersion, acknowledge: 'manual', inflight: 1 });
    const messages: IncomingMessage[] = [];
    loop.onMessage((message) => void messages.push(message));
    const connection = await connect();
    connection.publish({ topic: 'a', qos: 1, messageId: 1 });
    for (let i = 1; i <= 2; i++) loop.publish('a', `${i}`, { qos: 1 }).catch(() => {});
    const publish = await connection.next('publish');
    const paused = loop.pause();
    expect(await connection.next('disconnect')).toMatchObject(protocolVersion === 5 ? { reasonCode: 0 } : {});
    // All of these would be answered, or make room for something to send.
    messages[0]!.acknowledge();
    connection.puback(publish);
    connection.publish({ topic: 'a', qos: 1, messageId: 2 });
    await connection.nothing(clock);
    await connection.closed();
    await clock.advance(1_000);
    await paused;
  });

  test('[MQTT-4.13.2-1] the server leaves: we close, and send nothing more', async () => {
    const { connect, disconnected, clock } = scriptedLoop({ protocolVersion });
    const connection = await connect();
    if (protocolVersion === 5) connection.disconnect({ reasonCode: 0x8b });
    else connection.end();
    await connection.closed();
    await clock.settle();
    expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect']);
    expect(disconnected).toMatchObject([{ reasonCode: protocolVersion === 5 ? 0x8b : undefined }]);
  });
});

test('[MQTT-3.14.2-1] our own reasons: 0x00 and 0x04 on purpose; those of a violation are in malformed.test.ts', async () => {
  for (const publishWill of [false, true]) {
    const { loop, connect } = scriptedLoop({ will: { topic: 'gone', payload: '' } });
    const connection = await connect();
    const closing = loop.shutdown({ publishWill });
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: publishWill ? 0x04 : 0x00 });
    connection.end();
    await closing;
  }
});

test('[MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.14.2-3] [MQTT-3.14.2-4] no answer of ours has a Reason String or User Property, whatever the reason', async () => {
  const { loop, connect } = scriptedLoop({ userProperties: { fleet: 'a' } });
  loop.onMessage(() => {
    throw new Error('why it failed');
  });
  const connection = await connect({ properties: { maximumPacketSize: 5 } });
  connection.publish({ topic: 'a', qos: 1, messageId: 1 });
  connection.publish({ topic: 'a', qos: 2, messageId: 2 });
  connection.pubrec(4_000);
  connection.pubrel(4_001);
  // Five bytes at most, and DISCONNECT four.
  expect((await connection.next('puback')).raw).toEqual(Buffer.from('4003000180', 'hex'));
  expect((await connection.next('pubrec')).raw).toEqual(Buffer.from('5003000280', 'hex'));
  expect((await connection.next('pubrel')).raw).toEqual(Buffer.from('62030fa092', 'hex'));
  expect((await connection.next('pubcomp')).raw).toEqual(Buffer.from('70030fa192', 'hex'));
  connection.send(Buffer.from('c000', 'hex'));
  const { raw, properties } = await connection.next('disconnect');
  expect(raw.subarray(0, 3)).toEqual(Buffer.from([0xe0, raw.length - 2, 0x82]));
  expect(raw.length).toBeLessThanOrEqual(4);
  expect(properties).toBeUndefined();
});

describe('authentication', () => {
  const plain = { method: 'HMAC', start: () => Buffer.from('hello'), answer: () => Buffer.from('answer') };
  const auth = (reasonCode: number, properties: object = METHOD) => ({ cmd: 'auth' as const, reasonCode, properties });

  test('[MQTT-3.1.2-30] [MQTT-3.15.2-1] [MQTT-3.15.2-2] [MQTT-3.15.2-3] until CONNACK only AUTH is sent, with method and data alone', async () => {
    const { loop, broker, clock } = scriptedLoop({ authentication: plain, userProperties: { fleet: 'a' } });
    void loop.publish('a', 'x').catch(() => {});
    void loop.subscribe('a').catch(() => {});
    const started = loop.start();
    const connection = await broker.accept();
    await connection.connect();
    await connection.nothing(clock);
    for (let round = 1; round <= 2; round++) {
      connection.send(auth(CONTINUE));
      const answer = await connection.next('auth');
      expect(answer.reasonCode).toBe(CONTINUE);
      expect({ ...answer.properties }).toEqual({ ...METHOD, authenticationData: Buffer.from('answer') });
      await connection.nothing(clock);
    }
    connection.connack({ properties: METHOD });
    await started;
    await connection.next('subscribe');
    await connection.next('publish');
  });

  test('[MQTT-4.12.0-7] without the option there is no way to send AUTH', async () => {
    const { loop, clock, connect } = scriptedLoop();
    const connection = await connect();
    await expect(loop.reauthenticate()).rejects.toMatchObject({ code: 'MQTT_INVALID_STATE' });
    await connection.nothing(clock);
  });

  test('[MQTT-4.12.1-2] a re-authentication that we cannot complete ends with DISCONNECT', async () => {
    const broken = { ...plain, answer: () => Promise.reject(new Error('no key')) };
    const { loop, connect, disconnected } = scriptedLoop({ authentication: broken });
    const connection = await connect({ properties: METHOD });
    const failed = loop.reauthenticate().catch((error: unknown) => error);
    expect(await connection.next('auth')).toMatchObject({ reasonCode: RE_AUTHENTICATE });
    connection.send(auth(CONTINUE));
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x80 });
    await connection.closed();
    expect(await failed).toMatchObject({ code: 'MQTT_CONNECTION_LOST' });
    expect(disconnected).toMatchObject([{ cause: { code: 'MQTT_CREDENTIALS' } }]);
  });

  test('[MQTT-4.12.1-2] [MQTT-4.12.0-5] so does one in which the server changes the method', async () => {
    const { loop, connect } = scriptedLoop({ authentication: plain });
    const connection = await connect({ properties: METHOD });
    const failed = loop.reauthenticate().catch((error: unknown) => error);
    await connection.next('auth');
    connection.send(auth(CONTINUE, { authenticationMethod: 'OTHER' }));
    expect(await connection.next('disconnect')).toMatchObject({ reasonCode: 0x82 });
    await connection.closed();
    expect(await failed).toMatchObject({ code: 'MQTT_CONNECTION_LOST' });
  });

  test('[MQTT-3.2.2-15] an AUTH over the Maximum Packet Size is not sent: the first fails alone, an answer ends the connection', async () => {
    const large = Buffer.alloc(100);
    const properties = { ...METHOD, maximumPacketSize: 50 };
    const first = scriptedLoop({ authentication: { ...plain, start: () => large } });
    const one = await first.connect({ properties });
    for (let time = 1; time <= 2; time++)
      await expect(first.loop.reauthenticate()).rejects.toMatchObject({ code: 'MQTT_PACKET_TOO_LARGE' });
    await one.nothing(first.clock);
    expect(first.disconnected).toEqual([]);

    const second = scriptedLoop({ authentication: { ...plain, answer: () => large } });
    const other = await second.connect({ properties });
    const failed = second.loop.reauthenticate().catch((error: unknown) => error);
    await other.next('auth');
    other.send(auth(CONTINUE));
    expect(await other.next('disconnect')).toMatchObject({ reasonCode: 0x80 });
    await other.closed();
    expect(await failed).toMatchObject({ code: 'MQTT_CONNECTION_LOST' });
  });
});
