import { MqttArgumentError } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';

test('shutdown can give the session another expiry, 0 to end it', async () => {
  for (const sessionExpirySeconds of [0, 60]) {
    const { loop, connect } = scriptedLoop({ clean: false, sessionExpirySeconds: 3_600 });
    const connection = await connect();
    const done = loop.shutdown({ sessionExpirySeconds });
    expect((await connection.next('disconnect')).properties).toMatchObject({
      sessionExpiryInterval: sessionExpirySeconds,
    });
    connection.end();
    expect(await done).toEqual({ drained: true });
  }
});

test('without it DISCONNECT leaves the expiry of CONNECT alone', async () => {
  const { loop, connect } = scriptedLoop({ clean: false, sessionExpirySeconds: 3_600 });
  const connection = await connect();
  expect(connection.connectPacket?.properties).toMatchObject({ sessionExpiryInterval: 3_600 });
  const done = loop.shutdown();
  expect((await connection.next('disconnect')).properties?.sessionExpiryInterval).toBeUndefined();
  connection.end();
  await done;
});

test('an expiry that CONNECT did not ask for, and other bad options, are refused before anything is done', async () => {
  const { loop, connect } = scriptedLoop();
  await connect();
  await expect(loop.shutdown({ sessionExpirySeconds: 60 })).rejects.toThrow(MqttArgumentError);
  await expect(loop.shutdown({ sessionExpirySeconds: 1.5 })).rejects.toThrow('sessionExpirySeconds');
  await expect(loop.shutdown({ drainTimeoutMs: -1 })).rejects.toThrow('drainTimeoutMs');
  await expect(loop.shutdown({ publishWill: 1 as never })).rejects.toThrow('publishWill');
  expect(loop.status).toBe('connected');
});

test('Response and Problem Information are asked for in CONNECT, and what the server gives is negotiated', async () => {
  const { loop, connect } = scriptedLoop({ requestResponseInformation: true, requestProblemInformation: false });
  const connection = await connect({ properties: { responseInformation: 'replies/plant-7' } });
  expect(connection.connectPacket?.properties).toMatchObject({
    requestResponseInformation: true,
    requestProblemInformation: false,
  });
  expect(loop.negotiated?.responseInformation).toBe('replies/plant-7');
});
