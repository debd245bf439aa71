import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { EventLoopOptions } from 'nestjs-rumqtt/eventloop';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';
import { Inbox, makeLoop, nextConnection } from '../../fixtures/connected.js';
import { describeWithMosquitto, Mosquitto, overWebSocket } from '../../fixtures/mosquitto.js';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';

let authority: CertificateAuthority;
let certificate: Certificate;

beforeAll(() => {
  authority = new CertificateAuthority();
  certificate = authority.issue('broker');
});

afterAll(() => authority[Symbol.dispose]());

interface Transport {
  /** Mosquitto's configuration of its listener. */
  readonly config: (directory: string) => readonly string[];
  readonly options: (port: number, directory: string) => EventLoopOptions;
  /** Mosquitto 2.0.11 reads 4 KiB from a WebSocket ten times a second: what is larger is in websocket.test.ts. */
  readonly largestBytes: number;
}

const MIB = 1_048_576;

const tlsConfig = (): string[] => [`certfile ${certificate.certFile}`, `keyfile ${certificate.keyFile}`];
const socketIn = (directory: string): string => join(directory, 'broker.sock');

const transports: Readonly<Record<string, Transport>> = {
  mqtt: { config: () => [], options: (port) => ({ url: `mqtt://localhost:${port}` }), largestBytes: MIB },
  mqtts: {
    config: tlsConfig,
    options: (port) => ({ url: `mqtts://localhost:${port}`, tls: { ca: authority.ca } }),
    largestBytes: MIB,
  },
  ws: { config: overWebSocket, options: (port) => ({ url: `ws://localhost:${port}/mqtt` }), largestBytes: 8_192 },
  wss: {
    config: (directory) => [...tlsConfig(), ...overWebSocket(directory)],
    options: (port) => ({ url: `wss://localhost:${port}/mqtt`, tls: { ca: authority.ca } }),
    largestBytes: 8_192,
  },
  unix: {
    config: (directory) => [`listener 0 ${socketIn(directory)}`],
    options: (_port, directory) => ({ url: `unix:${socketIn(directory)}` }),
    largestBytes: MIB,
  },
  'mqtt over a connect hook': {
    config: () => [],
    options: (port) => ({ url: 'mqtt://nowhere.invalid', connect: () => connect(port, '127.0.0.1') }),
    largestBytes: MIB,
  },
  'wss over a connect hook': {
    config: (directory) => [...tlsConfig(), ...overWebSocket(directory)],
    options: (port) => ({
      url: 'wss://localhost:1/mqtt',
      tls: { ca: authority.ca },
      connect: () => connect(port, '127.0.0.1'),
    }),
    largestBytes: 8_192,
  },
};

const LARGE = { maxPacketBytes: 4 * MIB };
const SESSION = { clean: false, sessionExpirySeconds: 600 };

async function broker({ config }: Transport): Promise<Mosquitto> {
  const started = await Mosquitto.start({ persistence: 'on-exit', config });
  onTestFinished(() => started.stop());
  return started;
}

describeWithMosquitto('Mosquitto', () => {
  describe.each(Object.keys(transports))('over %s', (name) => {
    const transport = transports[name]!;

    test.each([4, 5] as const)('QoS 0, 1 and 2 both ways, from nothing to much, version %i', async (version) => {
      const { port, directory } = await broker(transport);
      const loop = makeLoop({ ...transport.options(port, directory), ...LARGE, protocolVersion: version });
      await loop.start();
      const inbox = new Inbox(loop);
      await loop.subscribe('big/#', { qos: 2 });
      const payloads = [0, 1, 125, 126, 65_535, 65_536, MIB]
        .filter((bytes) => bytes <= transport.largestBytes)
        .map((bytes) => randomBytes(bytes));
      for (const qos of [0, 1, 2] as const) {
        for (const payload of payloads) await loop.publish(`big/${qos}`, payload, { qos });
      }
      const messages = await inbox.until(payloads.length * 3);
      for (const qos of [0, 1, 2] as const) {
        const received = messages.filter(({ topic }) => topic === `big/${qos}`);
        expect(received.map(({ payload }, index) => payload.equals(payloads[index]!))).toEqual(
          payloads.map(() => true),
        );
        expect(received.every((message) => message.qos === qos)).toBe(true);
      }
      await loop.shutdown();
    });

    test('many messages at once, faster than a slow reader takes them', async () => {
      const { port, directory } = await broker(transport);
      const loop = makeLoop({ ...transport.options(port, directory), ...LARGE, inflight: 20 });
      await loop.start();
      let last = -1;
      const done = new Promise<void>((resolve, reject) => {
        loop.onMessage(async ({ payload }) => {
          const number = payload.readUInt32BE();
          if (number !== last + 1) reject(new Error(`${number} after ${last}`));
          last = number;
          await new Promise((next) => setImmediate(next));
          if (number === 999) resolve();
        });
      });
      await loop.subscribe('many', { qos: 1 });
      const published = Array.from({ length: 1_000 }, (_, number) => {
        const payload = Buffer.alloc(transport.largestBytes / 128);
        payload.writeUInt32BE(number);
        return loop.publish('many', payload, { qos: 1 });
      });
      await Promise.all(published);
      await done;
      expect(last).toBe(999);
      await loop.shutdown();
    });

    test('nothing is lost when the broker goes away and comes back', async () => {
      const mosquitto = await broker(transport);
      const options = { ...transport.options(mosquitto.port, mosquitto.directory), ...SESSION };
      const receiver = makeLoop({ ...options, clientId: 'receiver' });
      const sender = makeLoop({ ...options, clientId: 'sender' });
      await Promise.all([receiver.start(), sender.start()]);
      const inbox = new Inbox(receiver);
      await receiver.subscribe('kept', { qos: 2 });
      const back = [nextConnection(receiver), nextConnection(sender)];
      const published: Promise<unknown>[] = [];
      for (let number = 0; number < 100; number++)
        published.push(sender.publish('kept', `${number}`, { qos: number % 2 === 0 ? 2 : 1 }));
      await published[10];
      await mosquitto.restart();
      await Promise.all([...back, ...published]);
      const seen = new Set<string>();
      for (let count = 100; seen.size < 100; count++)
        for (const { payload } of await inbox.until(count)) seen.add(payload.toString());
      expect(seen.size).toBe(100);
    });
  });

  describe.each(['mqtts', 'ws', 'wss'])('over %s', (name) => {
    const transport = transports[name]!;

    test.each(['up', 'down'] as const)(
      'nothing is lost when the link is cut in the middle of a packet, %s',
      async (way) => {
        const { port, directory } = await broker(transport);
        const proxy = await TcpProxy.start(port);
        onTestFinished(() => proxy.stop());
        const loop = makeLoop({ ...transport.options(proxy.port, directory), ...SESSION, clientId: 'both' });
        await loop.start();
        const inbox = new Inbox(loop);
        await loop.subscribe('kept', { qos: 2 });
        const again = nextConnection(loop);
        proxy.cutAfter(30_001, way);
        const published = Array.from({ length: 60 }, (_, number) =>
          loop.publish('kept', `${number} ${'x'.repeat(1_000)}`, { qos: number % 2 === 0 ? 2 : 1 }),
        );
        await Promise.all([again, ...published]);
        const seen = new Set<string>();
        for (let count = 60; seen.size < 60; count++)
          for (const { payload } of await inbox.until(count)) seen.add(payload.toString().split(' ')[0]!);
        expect(seen.size).toBe(60);
        await loop.shutdown();
      },
    );
  });
});
