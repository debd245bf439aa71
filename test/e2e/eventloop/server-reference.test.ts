import { MqttConnectionRefusedError, MqttServerDisconnectError } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

const USE_ANOTHER_SERVER = 0x9c;
const SERVER_MOVED = 0x9d;
const redirect = (serverReference: string, reasonCode = USE_ANOTHER_SERVER) => ({
  reasonCode,
  properties: { serverReference },
});

test('with followServerReference a CONNACK that refers to another server is followed at once', async () => {
  const { loop, broker } = scriptedLoop({ url: 'mqtt://one:1883', followServerReference: true });
  const started = loop.start();
  const first = await broker.accept();
  await first.connect();
  first.connack(redirect('two:1884 three'));
  await broker.acceptConnected();
  await started;
  expect(broker.dialled).toEqual(['mqtt://one:1883', 'mqtt://two:1884']);
  expect(loop.negotiated?.server).toBe('mqtt://two:1884');
});

test('a DISCONNECT that refers to another server is followed, too; the list goes on when that server fails', async () => {
  const { broker, clock, connect, disconnected } = scriptedLoop({
    url: 'mqtt://one:1883',
    followServerReference: true,
  });
  const first = await connect();
  broker.refuseNext();
  first.disconnect(redirect('[::1]:1885', SERVER_MOVED));
  await clock.advance(5_000);
  await broker.acceptConnected();
  expect(broker.dialled).toEqual(['mqtt://one:1883', 'mqtt://[::1]:1885', 'mqtt://one:1883']);
  expect(disconnected[0]?.cause).toBeInstanceOf(MqttServerDisconnectError);
  expect(disconnected[0]?.cause).toMatchObject({ serverReference: '[::1]:1885' });
});

test('without the option a reference is only told', async () => {
  const { loop, broker } = scriptedLoop({ url: 'mqtt://one:1883' });
  const started = loop.start().catch((error: unknown) => error);
  const first = await broker.accept();
  await first.connect();
  first.connack(redirect('two:1884'));
  const error = await started;
  expect(error).toBeInstanceOf(MqttConnectionRefusedError);
  expect(error).toMatchObject({ serverReference: 'two:1884' });
  expect(broker.dialled).toEqual(['mqtt://one:1883']);
});

test('servers that send us in circles are followed five times, then the list has its turn', async () => {
  const { loop, broker, clock } = scriptedLoop({
    url: 'mqtt://one:1883',
    followServerReference: true,
    reconnect: { policy: 'always' },
  });
  broker.serve({ connack: redirect('two:1884') });
  const started = loop.start();
  await clock.settle();
  await started;
  expect(broker.dialled).toEqual(['mqtt://one:1883', ...Array.from({ length: 5 }, () => 'mqtt://two:1884')]);
  expect(loop.status).toBe('connecting');
});

test.each(['user:secret@two:1884', '', '   ', 'two:99999', 'two/path'])(
  'the unusable reference "%s" is not followed',
  async (reference) => {
    const { loop, broker } = scriptedLoop({ url: 'mqtt://one:1883', followServerReference: true });
    const started = loop.start().catch((error: unknown) => error);
    const first = await broker.accept();
    await first.connect();
    first.connack(redirect(reference));
    expect(await started).toBeInstanceOf(MqttConnectionRefusedError);
    expect(broker.dialled).toEqual(['mqtt://one:1883']);
  },
);
