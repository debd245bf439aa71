import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { ScriptedBroker } from '../../../lib/testing/index.js';
import { RawClient } from './raw-client.js';

const brokers: ScriptedBroker[] = [];

function makeBroker(...options: ConstructorParameters<typeof ScriptedBroker>): ScriptedBroker {
  const broker = new ScriptedBroker(...options);
  brokers.push(broker);
  return broker;
}

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close();
});

describe.each(['memory', 'tcp'] as const)('ScriptedBroker over %s', (transport) => {
  async function connectTo(broker: ScriptedBroker, protocolVersion: 4 | 5 = 5): Promise<RawClient> {
    if (transport === 'memory') return RawClient.dial(broker, protocolVersion);
    const url = new URL(await broker.listen());
    return RawClient.tcp(Number(url.port), protocolVersion);
  }

  it('gives out links in order and reads CONNECT from each', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker);
    client.connect({ clientId: 'one' });
    const connection = await broker.accept();
    expect(await connection.connect()).toMatchObject({ cmd: 'connect', clientId: 'one', protocolVersion: 5 });
    expect(connection.connectPacket?.clientId).toBe('one');
    connection.connack({ sessionPresent: true, properties: { receiveMaximum: 7 } });
    expect(await client.until('connack')).toMatchObject({
      sessionPresent: true,
      reasonCode: 0,
      properties: { receiveMaximum: 7 },
    });
  });

  it('sends every packet a broker can send, in the version of the connection', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker, 4);
    client.connect();
    const connection = await broker.acceptConnected();
    client.send({
      cmd: 'subscribe',
      messageId: 9,
      subscriptions: [
        { topic: 'a', qos: 1 },
        { topic: 'b', qos: 2 },
      ],
    });
    connection.suback(await connection.next('subscribe'));
    client.send({ cmd: 'unsubscribe', messageId: 10, unsubscriptions: ['a'] });
    connection.unsuback(await connection.next('unsubscribe'));
    connection.publish({ topic: 'a', payload: 'hello', qos: 1, messageId: 3 });
    connection.pingresp();
    client.publish(1);
    connection.puback(await connection.next('publish'));
    client.publish(2, { qos: 2 });
    const publish = await connection.next('publish');
    connection.pubrec(publish);
    await client.until('pubrec');
    client.send({ cmd: 'pubrel', messageId: 2 });
    connection.pubcomp(await connection.next('pubrel'));
    await client.until('pubcomp');
    expect(client.received).toMatchObject([
      { cmd: 'connack', returnCode: 0 },
      { cmd: 'suback', messageId: 9, granted: [1, 2] },
      { cmd: 'unsuback', messageId: 10 },
      { cmd: 'publish', topic: 'a', payload: Buffer.from('hello'), qos: 1, messageId: 3 },
      { cmd: 'pingresp' },
      { cmd: 'puback', messageId: 1 },
      { cmd: 'pubrec', messageId: 2 },
      { cmd: 'pubcomp', messageId: 2 },
    ]);
    broker.assertClean();
  });

  it('carries reason codes and properties on MQTT 5', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    client.publish(1);
    connection.puback(await connection.next('publish'), { reasonCode: 0x97, properties: { reasonString: 'full' } });
    connection.disconnect({ reasonCode: 0x8b });
    connection.end();
    await client.closed();
    expect(client.received.slice(1)).toMatchObject([
      { cmd: 'puback', messageId: 1, reasonCode: 0x97, properties: { reasonString: 'full' } },
      { cmd: 'disconnect', reasonCode: 0x8b },
    ]);
    expect(client.ended).toBe(true);
    expect(client.error).toBeUndefined();
  });

  it('keeps the exact bytes of what it received, however they were chunked', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker);
    const bytes = client.encode({ cmd: 'connect', clientId: 'raw', protocolVersion: 5, clean: true, keepalive: 1 });
    for (const byte of bytes) {
      client.send(Buffer.of(byte));
      await turn();
    }
    const connection = await broker.accept();
    expect((await connection.connect()).raw).toEqual(bytes);
  });

  it('delivers bytes in chunks that arrive one by one', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker, 4);
    client.connect();
    const connection = await broker.acceptConnected();
    await client.until('connack');
    client.chunks.length = 0;
    const sending = connection.sendChunked(
      { cmd: 'publish', topic: 'abcde', payload: '', qos: 0, dup: false, retain: false },
      4,
    );
    expect(() => connection.pingresp()).toThrow('sendChunked');
    await sending;
    await client.until('publish');
    expect(Buffer.concat(client.chunks).toString('hex')).toBe('300700056162636465');
    if (transport === 'memory') expect(client.chunks.map(({ length }) => length)).toEqual([4, 4, 1]);
  });

  it('cuts a link so that the client sees a reset', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    await client.until('connack');
    connection.cut();
    await client.closed();
    expect(client.error?.code).toBe('ECONNRESET');
    await connection.closed();
    expect(connection.open).toBe(false);
  });

  it('notices that the client closed, in order or abruptly, and then explains waits in vain', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    client.publish(1);
    client.stream.end();
    await connection.closed();
    expect(await connection.next()).toMatchObject({ cmd: 'publish' });
    await expect(connection.next('publish')).rejects.toThrow(/the connection is closed[\s\S]*PUBLISH "a\/b" qos 1/);
    await client.closed();
    expect(client.error).toBeUndefined();
  });

  it('plays dead: a half-open link takes bytes and gives none', async () => {
    const broker = makeBroker();
    const client = await connectTo(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    await client.until('connack');
    connection.halfOpen();
    client.publish(1);
    connection.pingresp();
    await connection.nothing();
    expect(client.received).toHaveLength(1);
    expect(client.stream.destroyed).toBe(false);
    client.stream.destroy();
  });

  it('answers pings by itself when asked to, and still records them', async () => {
    const broker = makeBroker({ autoPing: true });
    const client = await connectTo(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    client.send({ cmd: 'pingreq' });
    await client.until('pingresp');
    await connection.nothing();
    expect(connection.received.map(({ cmd }) => cmd)).toEqual(['connect', 'pingreq']);
    connection.autoPing = false;
    client.send({ cmd: 'pingreq' });
    expect(await connection.next('pingreq')).toBeDefined();
  });

  it('refuses as many attempts as it was told to', async () => {
    const broker = makeBroker();
    broker.refuseNext();
    broker.refuseNext();
    if (transport === 'memory') {
      for (let attempt = 0; attempt < 2; attempt++) {
        await expect(RawClient.dial(broker)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      }
      await RawClient.dial(broker);
      expect(broker.dialled).toHaveLength(3);
    } else {
      const { port } = new URL(await broker.listen());
      for (let attempt = 0; attempt < 2; attempt++) await RawClient.tcp(Number(port)).closed();
      RawClient.tcp(Number(port));
    }
    await broker.accept();
  });

  it('serves many publishes by itself, with hooks', async () => {
    const broker = makeBroker();
    const seen: string[] = [];
    const stop = broker.serve({
      connack: ({ clientId }) => ({ sessionPresent: clientId === 'raw' }),
      onPublish: ({ topic }, connection) => {
        seen.push(topic);
        if (topic === 'echo') connection.publish({ topic: 'echoed', qos: 2, messageId: 1 });
        return topic !== 'ignored';
      },
    });
    const client = await connectTo(broker);
    client.connect();
    await client.until('connack');
    for (let id = 1; id <= 500; id++) client.publish(id);
    await client.until('puback', 500);
    client.publish(1, { qos: 2 });
    await client.until('pubrec');
    client.send({ cmd: 'pubrel', messageId: 1, reasonCode: 0 });
    await client.until('pubcomp');
    client.publish(2, { topic: 'ignored' });
    client.publish(3, { topic: 'echo', qos: 0 });
    await client.until('publish');
    client.send({ cmd: 'pubrec', messageId: 1, reasonCode: 0 });
    await client.until('pubrel');
    client.send({ cmd: 'pubcomp', messageId: 1, reasonCode: 0 });
    client.send({ cmd: 'subscribe', messageId: 7, subscriptions: [{ topic: 'a', qos: 1 }] });
    client.send({ cmd: 'unsubscribe', messageId: 8, unsubscriptions: ['a'] });
    client.send({ cmd: 'pingreq' }, { cmd: 'disconnect', reasonCode: 0 });
    await client.closed();
    expect(client.received.slice(-3).map(({ cmd }) => cmd)).toEqual(['suback', 'unsuback', 'pingresp']);
    expect(client.received[0]).toMatchObject({ sessionPresent: true });
    expect(seen).toHaveLength(503);
    expect(client.received.filter(({ cmd }) => cmd === 'puback')).toHaveLength(500);
    broker.assertClean();
    stop();
  });
});
