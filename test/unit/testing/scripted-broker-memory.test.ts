import { afterEach, describe, expect, it } from 'vitest';
import { ScriptedBroker, VirtualClock } from '../../../lib/testing/index.js';
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

const server = { host: 'broker', port: 1883, label: 'mqtt://broker:1883', credentials: undefined };

describe('ScriptedBroker in memory', () => {
  it('holds the client back while it does not read, from the first byte on', async () => {
    const broker = makeBroker();
    const clock = new VirtualClock();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    connection.freeze();
    let written = false;
    client.stream.write(Buffer.from([0xc0, 0]), () => (written = true));
    await connection.nothing(clock);
    expect(written).toBe(false);
    connection.thaw();
    await connection.next('pingreq');
    await clock.settle();
    expect(written).toBe(true);
  });

  it('shows that the client does not read', async () => {
    const broker = makeBroker();
    const clock = new VirtualClock();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    await clock.settle();
    expect(connection.backlogBytes).toBe(0);
    client.stream.pause();
    connection.publish({ topic: 'a' });
    connection.publish({ topic: 'b' });
    await clock.settle();
    expect(connection.backlogBytes).toBeGreaterThan(0);
    client.stream.resume();
    await clock.settle();
    expect(connection.backlogBytes).toBe(0);
    expect(client.received).toHaveLength(3);
  });

  it('never runs the receiver inside the call of the sender', async () => {
    const broker = makeBroker();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    expect(client.received).toHaveLength(0);
    await client.until('connack');
    connection.pingresp();
    expect(client.received).toHaveLength(1);
  });

  it('moves any number of packets in a few turns', async () => {
    const broker = makeBroker();
    const clock = new VirtualClock();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    for (let message = 0; message < 1_000; message++) connection.publish({ topic: 'a' });
    await clock.settle();
    expect(client.received).toHaveLength(1_001);
  });

  it('fails writes of a client whose broker is gone', async () => {
    const broker = makeBroker();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    connection.freeze();
    let failure: Error | null | undefined;
    client.stream.write('never read', (error) => (failure = error));
    connection.cut();
    await client.closed();
    expect(failure).toBeInstanceOf(Error);
  });

  it('black-holes a dial until it is aborted, and leaves nothing behind', async () => {
    const broker = makeBroker();
    broker.blackholeNext();
    const abort = new AbortController();
    const dial = broker.dial(server, abort.signal);
    const reason = new Error('deadline');
    abort.abort(reason);
    await expect(dial).rejects.toBe(reason);
    await expect(broker.dial(server, abort.signal)).rejects.toBe(reason);
    expect(broker.connections).toHaveLength(0);
  });

  it('is down until it is up again', async () => {
    const broker = makeBroker();
    const outage = new Error('no route');
    broker.down(outage);
    await expect(RawClient.dial(broker)).rejects.toBe(outage);
    await expect(RawClient.dial(broker)).rejects.toBe(outage);
    broker.up();
    await RawClient.dial(broker);
  });

  it('acknowledges after a delay of virtual time', async () => {
    const broker = makeBroker();
    const clock = new VirtualClock();
    broker.serve({ ackDelayMs: 200, clock });
    const client = await RawClient.dial(broker);
    client.connect();
    client.publish(1);
    await clock.advance(199);
    expect(client.received.map(({ cmd }) => cmd)).toEqual(['connack']);
    await clock.advance(1);
    expect(client.received.map(({ cmd }) => cmd)).toEqual(['connack', 'puback']);
  });

  it('leaves new links to accept() again after serve was stopped', async () => {
    const broker = makeBroker();
    const stop = broker.serve();
    const served = await RawClient.dial(broker);
    served.connect();
    await served.until('connack');
    stop();
    await RawClient.dial(broker);
    const connection = await broker.accept();
    expect(broker.connections.indexOf(connection)).toBe(1);
  });
});
