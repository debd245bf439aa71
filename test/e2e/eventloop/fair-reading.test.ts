import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { EventLoop } from 'nestjs-rumqtt/eventloop';
import { expect, onTestFinished, test } from 'vitest';

const CONNACK = Buffer.from([0x20, 2, 0, 0]);
const publish = generate({
  cmd: 'publish',
  topic: 'a/b/c',
  payload: 'x'.repeat(247),
  qos: 0,
  dup: false,
  retain: false,
});
const MESSAGES = 60_000;

test('a flood is read in portions: between two of them everything else has its turn', async () => {
  const loop = await connectToFlood();
  loop.onMessage(() => {});
  const portions: number[] = [];
  for (let before = loop.stats().bytesReceived; loop.stats().messagesReceived < MESSAGES; before += portions.at(-1)!) {
    await nextTurn();
    portions.push(loop.stats().bytesReceived - before);
  }
  // Up to the limit, and the read that goes beyond it.
  expect(Math.max(...portions)).toBeLessThanOrEqual(131_072 + 65_536);
});

test('handlers that return promises go on before a hundred further ones have begun', async () => {
  const loop = await connectToFlood();
  let begun = 0;
  let mostUnderWay = 0;
  let ended = 0;
  await new Promise<void>((resolve) => {
    loop.onMessage(async () => {
      begun++;
      mostUnderWay = Math.max(mostUnderWay, begun - ended);
      await Promise.resolve();
      if (++ended === MESSAGES) resolve();
    });
  });
  expect(mostUnderWay).toBe(100);
});

async function connectToFlood(): Promise<EventLoop> {
  const flood = Buffer.concat(Array.from({ length: MESSAGES }, () => publish));
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(CONNACK);
      socket.write(flood);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const loop = new EventLoop({ url: `mqtt://127.0.0.1:${port}`, protocolVersion: 4 });
  onTestFinished(async () => {
    await loop.shutdown({ drainTimeoutMs: 0 });
    server.close();
  });
  await loop.start();
  return loop;
}
