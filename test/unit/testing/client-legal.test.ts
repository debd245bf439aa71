import type { Packet } from 'mqtt-packet';
import { afterEach, describe, expect, it } from 'vitest';
import { ScriptedBroker, type ConnackOptions, type ScriptedConnection } from '../../../lib/testing/index.js';
import { RawClient } from './raw-client.js';

let broker: ScriptedBroker;

afterEach(() => broker.close());

async function connected(version: 4 | 5, connack?: ConnackOptions): Promise<[RawClient, ScriptedConnection]> {
  const client = await RawClient.dial(broker, version);
  client.connect({ clean: !connack?.sessionPresent });
  const connection = await broker.acceptConnected(connack);
  await client.until('connack');
  return [client, connection];
}

const pubrel = (messageId: number): Packet => ({ cmd: 'pubrel', messageId, reasonCode: 0 });

describe('a client within the rules is left in peace', () => {
  it.each([4, 5] as const)('reusing identifiers whose exchanges are complete, MQTT version %s', async (version) => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(version, { properties: { receiveMaximum: 1 } });
    for (const round of ['one', 'two']) {
      client.publish(1, { payload: round });
      connection.puback(await connection.next('publish'));
      client.publish(1, { payload: round, qos: 2 });
      connection.pubrec(await connection.next('publish'));
      client.send(pubrel(1));
      connection.pubcomp(await connection.next('pubrel'));
      client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$share/g/a/+', qos: 1 }] });
      connection.suback(await connection.next('subscribe'));
      client.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['$share/g/a/+'] });
      connection.unsuback(await connection.next('unsubscribe'));
    }
    expect(broker.violations).toEqual([]);
  });

  it('freeing identifier and quota when PUBREC refuses the message', async () => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(5, { properties: { receiveMaximum: 1 } });
    client.publish(1, { qos: 2 });
    connection.pubrec(await connection.next('publish'), { reasonCode: 0x97 });
    client.publish(1, { qos: 2 });
    await connection.next('publish');
    expect(broker.violations).toEqual([]);
  });

  it('writing MQTT 5 acknowledgements and DISCONNECT in any of their legal forms', async () => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(5);
    for (const messageId of [1, 2, 3]) connection.publish({ topic: 'a', qos: 1, messageId });
    client.send(Buffer.from([0x40, 2, 0, 1]), Buffer.from([0x40, 3, 0, 2, 0x10]), Buffer.from([0x40, 4, 0, 3, 0, 0]));
    client.send(Buffer.from([0xe0, 0]));
    for (let packet = 0; packet < 4; packet++) await connection.next();
    expect(broker.violations).toEqual([]);
  });

  it('using a topic alias that it has set up', async () => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(5, { properties: { topicAliasMaximum: 1 } });
    client.publish(1, { properties: { topicAlias: 1 } });
    client.publish(2, { topic: '', properties: { topicAlias: 1 } });
    await connection.next('publish');
    await connection.next('publish');
    expect(broker.violations).toEqual([]);
  });

  it('authenticating without a user name, and with an AUTH exchange', async () => {
    broker = new ScriptedBroker();
    const client = await RawClient.dial(broker, 5);
    // CONNECT, version 5, flags: password and clean start, with an authentication method.
    const header = [0, 4, ...Buffer.from('MQTT'), 5, 0x42, 0, 60];
    const body = [...header, 4, 0x15, 0, 1, 0x78, 0, 1, 0x63, 0, 1, 0x70];
    client.send(Buffer.from([0x10, body.length, ...body]));
    client.send(Buffer.from([0xf0, 0]));
    const connection = await broker.accept();
    expect(await connection.connect()).toMatchObject({ clientId: 'c', password: Buffer.from('p') });
    await connection.next('auth');
    expect(broker.violations).toEqual([]);
  });

  it('answering, or not, a PUBREC that it does not know', async () => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(5);
    connection.pubrec(9);
    client.send({ cmd: 'pubrel', messageId: 9, reasonCode: 0x92 });
    await connection.next('pubrel');
    expect(broker.violations).toEqual([]);
  });

  it('answering bytes that are no packets in whatever way', async () => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(5);
    connection.send(Buffer.from([0x00, 0x80, 0x00]));
    connection.publish({ topic: 'a', qos: 1, messageId: 1 });
    client.send({ cmd: 'puback', messageId: 1, reasonCode: 0 });
    await connection.next('puback');
    expect(broker.violations).toEqual([]);
  });
});

describe('a resumed session', () => {
  /** Two QoS 1 publishes, and one QoS 2 publish up to `pubrel`, left unfinished. */
  async function interrupted(): Promise<[RawClient, ScriptedConnection]> {
    broker = new ScriptedBroker();
    const [first, before] = await connected(5);
    first.publish(1, { payload: 'one' });
    first.publish(2, { payload: 'two' });
    first.publish(3, { payload: 'three', qos: 2 });
    await before.next('publish');
    await before.next('publish');
    before.pubrec(await before.next('publish'));
    first.send(pubrel(3));
    await before.next('pubrel');
    before.cut();
    return connected(5, { sessionPresent: true });
  }

  async function verdict(connection: ScriptedConnection): Promise<string[]> {
    await connection.nothing().catch(() => undefined);
    return connection.violations.map(({ rule }) => rule);
  }

  it('lets a client resend what was not complete, in order, and go on', async () => {
    const [client, connection] = await interrupted();
    client.publish(1, { payload: 'one', dup: true });
    client.publish(2, { payload: 'two', dup: true });
    client.send(pubrel(3));
    client.publish(4);
    connection.puback(await connection.next('publish'));
    client.publish(1);
    expect(await verdict(connection)).toEqual([]);
  });

  it('remembers the order over a connection that resent only a part', async () => {
    const [client, connection] = await interrupted();
    client.publish(1, { payload: 'one', dup: true });
    client.publish(4, { payload: 'four' });
    await verdict(connection);
    connection.cut();
    const [again, third] = await connected(5, { sessionPresent: true });
    for (const [id, payload] of [
      [1, 'one'],
      [2, 'two'],
      [4, 'four'],
    ] as const)
      again.publish(id, { payload, dup: true });
    expect(await verdict(third)).toEqual([]);
  });

  it.each<[string, string, (client: RawClient) => void]>([
    ['out of order', 'MQTT-4.6.0-1', (client) => client.publish(2, { payload: 'two', dup: true })],
    ['with another payload', 'MQTT-4.4.0-1', (client) => client.publish(1, { payload: 'eins', dup: true })],
    ['after its PUBREL', 'MQTT-4.3.3-6', (client) => client.publish(3, { payload: 'three', qos: 2, dup: true })],
    ['as a new message', 'MQTT-2.2.1-3', (client) => client.publish(1, { payload: 'one' })],
  ])('catches a resend %s', async (_how, rule, resend) => {
    const [client, connection] = await interrupted();
    resend(client);
    expect(await verdict(connection)).toEqual([rule]);
  });

  it('counts resends against the Receive Maximum', async () => {
    broker = new ScriptedBroker();
    const [client, connection] = await connected(5, { sessionPresent: true, properties: { receiveMaximum: 1 } });
    client.publish(1, { dup: true });
    client.publish(2, { dup: true });
    expect(await verdict(connection)).toEqual(['MQTT-3.3.4-7']);
  });

  it('is forgotten when the broker says that there is none', async () => {
    broker = new ScriptedBroker();
    const [first, before] = await connected(5);
    first.publish(1);
    await before.next('publish');
    before.cut();
    const [client, connection] = await connected(5);
    client.publish(1);
    await connection.next('publish');
    client.send(pubrel(2));
    expect(await verdict(connection)).toEqual(['MQTT-4.3.3-4']);
  });
});
