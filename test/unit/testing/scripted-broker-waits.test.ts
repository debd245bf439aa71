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

const settle = (): Promise<void> => new VirtualClock().settle();

describe('a wait for a client', () => {
  it('says what came instead of the expected packet', async () => {
    const broker = makeBroker();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    client.publish(7, { payload: 'four' });
    await expect(connection.next('subscribe')).rejects.toThrow(
      /connection 1 \(open\): expected SUBSCRIBE, but got PUBLISH "a\/b" qos 1 4 bytes id 7/,
    );
    client.send({ cmd: 'pingreq' });
    await expect(connection.nothing()).rejects.toThrow('expected nothing, but got PINGREQ');
  });

  it('ends with an explanation when nothing comes', async () => {
    const broker = makeBroker({ guardMs: 20 });
    await expect(broker.accept()).rejects.toThrow(/No connection came within 20 ms.*nothing was dialled/);
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    await expect(connection.next('publish')).rejects.toThrow(/no PUBLISH came within 20 ms[\s\S]*CONNECT "raw"/);
    await expect(connection.closed()).rejects.toThrow('did not close');
    // The wait that failed takes nothing away from the next one.
    client.publish(1);
    expect(await connection.next('publish')).toMatchObject({ messageId: 1 });
  });

  it('ends when the broker is closed', async () => {
    const broker = makeBroker();
    const client = await RawClient.dial(broker);
    const connection = await broker.accept();
    const waits = [broker.accept(), connection.next()].map((wait) => wait.catch((error: Error) => error.message));
    await broker.close();
    expect(await Promise.all(waits)).toEqual([
      expect.stringContaining('is closed'),
      expect.stringContaining('is closed'),
    ]);
    await client.closed();
  });

  it('lists only the last packets of a long history', async () => {
    const broker = makeBroker();
    const client = await RawClient.dial(broker);
    client.connect();
    const connection = await broker.acceptConnected();
    for (let id = 1; id <= 30; id++) client.publish(id);
    await settle();
    await expect(connection.next('disconnect')).rejects.toThrow(/after 11 others[\s\S]*id 30/);
  });
});
