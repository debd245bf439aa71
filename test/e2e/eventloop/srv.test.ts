import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { EventLoop, type ResolveSrv, type SrvRecord } from 'nestjs-rumqtt/eventloop';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import { scriptedLoop } from '../../fixtures/scripted-loop.js';
import { watch } from '../../fixtures/watch.js';

const dns = vi.hoisted(() => ({ port: 0 }));
vi.mock('node:dns/promises', async (original) => {
  const real = await original<typeof import('node:dns/promises')>();
  /** Asks the server of the test. */
  class Resolver extends real.Resolver {
    constructor() {
      super();
      this.setServers([`127.0.0.1:${dns.port}`]);
    }
  }
  return { ...real, Resolver };
});

const record = (name: string, priority = 0, weight = 0, port = 1883): SrvRecord => ({ name, port, priority, weight });
const reconnect = { policy: 'always', jitter: 'none', minDelayMs: 1_000, factor: 1 } as const;

function looksUp(...answers: readonly (readonly SrvRecord[] | Error)[]): ResolveSrv & { asked: string[] } {
  const asked: string[] = [];
  const resolve: ResolveSrv = async (name) => {
    const answer = answers[Math.min(asked.push(name), answers.length) - 1]!;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return Object.assign(resolve, { asked });
}

describe('mqtt+srv:', () => {
  test('the servers that SRV records name are tried in their order, then comes the wait', async () => {
    const resolveSrv = looksUp([record('b.example', 20, 0, 1884), record('a.example.', 10)]);
    const { loop, broker, clock, disconnected } = scriptedLoop(
      { url: 'mqtt+srv://example', reconnect },
      { resolveSrv },
    );
    broker.down();
    await loop.start();
    expect(resolveSrv.asked).toEqual(['_mqtt._tcp.example']);
    expect(broker.dialled).toEqual(['mqtt://a.example:1883', 'mqtt://b.example:1884']);
    expect(disconnected.map(({ willRetryInMs }) => willRetryInMs)).toEqual([0, 1_000]);
    await clock.advance(1_000);
    expect(resolveSrv.asked).toHaveLength(2);
  });

  test('each round asks anew, so that a change in DNS is followed', async () => {
    const resolveSrv = looksUp([record('old.example')], [record('new.example')]);
    const { loop, broker, clock, connected } = scriptedLoop({ url: 'mqtt+srv://example', reconnect }, { resolveSrv });
    broker.refuseNext();
    await loop.start();
    const accepting = broker.acceptConnected();
    await clock.advance(1_000);
    const connection = await accepting;
    expect(broker.dialled).toEqual(['mqtt://old.example:1883', 'mqtt://new.example:1883']);
    expect(connected).toMatchObject([{ negotiated: { server: 'mqtt://new.example:1883' } }]);
    connection.cut();
    await clock.advance(1_000);
    await broker.acceptConnected();
    expect(resolveSrv.asked).toHaveLength(3);
  });

  test('user information goes to the servers that are named', async () => {
    const resolveSrv = looksUp([record('a.example')]);
    const { connect, broker } = scriptedLoop({ url: 'mqtt+srv://plant:pass@example' }, { resolveSrv });
    const connection = await connect();
    expect(connection.connectPacket).toMatchObject({ username: 'plant' });
    expect(broker.dialled).toEqual(['mqtt://a.example:1883']);
  });

  test('a lookup that fails is a failed attempt like any other: the list goes on', async () => {
    const resolveSrv = looksUp(Object.assign(new Error('querySrv ENOTFOUND'), { code: 'ENOTFOUND' }));
    const { loop, broker, disconnected } = scriptedLoop(
      { url: ['mqtt+srv://example', 'mqtt://other'] },
      { resolveSrv },
    );
    const started = loop.start();
    await broker.acceptConnected();
    await started;
    expect(broker.dialled).toEqual(['mqtt://other:1883']);
    expect(disconnected).toMatchObject([
      {
        willRetryInMs: 0,
        cause: {
          code: 'MQTT_CONNECT_FAILED',
          message: expect.stringContaining('the lookup of _mqtt._tcp.example failed: querySrv ENOTFOUND') as string,
          cause: { code: 'ENOTFOUND' },
        },
      },
    ]);
  });

  test.each([
    ['none', []],
    ['that it has none', [record('.')]],
    ['nothing usable', [record('user:secret@host'), record('a', 0, 0, 0)]],
  ])('a domain that names %s is an error', async (_what, records) => {
    const { loop } = scriptedLoop({ url: 'mqtt+srv://example' }, { resolveSrv: looksUp(records) });
    const error: unknown = await loop.start().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'MQTT_CONNECT_FAILED' });
    expect((error as Error).message).toBe('cannot connect to mqtt+srv://example: _mqtt._tcp.example names no server');
  });

  test('a lookup is bounded by connectTimeoutMs, and ends with a pause', async () => {
    let signal: AbortSignal | undefined;
    const resolveSrv: ResolveSrv = (_name, given) => {
      signal = given;
      return new Promise(() => {});
    };
    const { loop, clock } = scriptedLoop({ url: 'mqtt+srv://example', connectTimeoutMs: 5_000 }, { resolveSrv });
    const started = watch(loop.start());
    await clock.advance(4_999);
    expect(started.state).toBe('pending');
    await clock.advance(1);
    expect(started.error).toMatchObject({ code: 'MQTT_CONNECT_TIMEOUT', step: 'looking up _mqtt._tcp.example' });
    expect(signal?.aborted).toBe(true);
    void loop.start().catch(() => {});
    await clock.settle();
    expect(signal?.aborted).toBe(false);
    await loop.pause();
    expect(signal?.aborted).toBe(true);
  });

  test.each([
    'mqtt+srv://example:1883',
    'mqtt+srv://example/path',
    'mqtt+srv://10.0.0.1',
    'mqtt+srv://[::1]',
    'ws+srv://example',
  ])('%s is an error at construction', (url) => {
    expect(() => new EventLoop({ url })).toThrow(/url is/);
  });
});

describe('mqtts+srv:', () => {
  test('asks for the secure service; the servers keep TLS', async () => {
    const resolveSrv = looksUp([record('a.example.com', 0, 0, 8_883)]);
    const { loop, broker } = scriptedLoop({ url: 'mqtts+srv://example.com' }, { resolveSrv });
    const started = loop.start();
    await broker.acceptConnected();
    await started;
    expect(resolveSrv.asked).toEqual(['_secure-mqtt._tcp.example.com']);
    expect(broker.dialled).toEqual(['mqtts://a.example.com:8883']);
  });

  test('a forged answer cannot choose the certificate: servers outside of the domain are left out', async () => {
    const records = [record('evil-example.com', 0), record('example.com.evil.org', 1), record('b.EXAMPLE.com', 2)];
    const { loop, broker } = scriptedLoop({ url: 'mqtts+srv://example.com' }, { resolveSrv: looksUp(records) });
    const started = loop.start();
    await broker.acceptConnected();
    await started;
    expect(broker.dialled.map((label) => label.toLowerCase())).toEqual(['mqtts://b.example.com:1883']);
  });

  test('with none inside the domain the error tells the cure, and tls.servername is one', async () => {
    const records = [record('broker.provider.net', 0, 0, 8_883)];
    const url = 'mqtts+srv://example.com';
    const strict = scriptedLoop({ url }, { resolveSrv: looksUp(records) });
    await expect(strict.loop.start()).rejects.toThrow(/outside of example\.com.*tls\.servername/);
    const named = scriptedLoop({ url, tls: { servername: 'example.com' } }, { resolveSrv: looksUp(records) });
    const started = named.loop.start();
    await named.broker.acceptConnected();
    await started;
    expect(named.broker.dialled).toEqual(['mqtts://broker.provider.net:8883']);
  });
});

test('the records come from the DNS of this computer', async () => {
  await using broker = await AedesBroker.start();
  const questions: string[] = [];
  await dnsServer((question, answer) => {
    questions.push(question);
    answer(srvResource(10, broker.port, 'localhost'));
  });
  const loop = new EventLoop({ url: 'mqtt+srv://broker.test' });
  onTestFinished(async () => void (await loop.shutdown()));
  await loop.start();
  await loop.publish('a', 'x', { qos: 1 });
  expect(questions).toEqual(['_mqtt._tcp.broker.test']);
  expect(loop.negotiated?.server).toBe(`mqtt://localhost:${broker.port}`);
});

/** Answers one question at a time with one record for the name that was asked. */
async function dnsServer(onQuestion: (name: string, answer: (resource: Buffer) => void) => void): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('message', (query, client) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += length + 1;
    }
    const question = query.subarray(12, at + 5);
    onQuestion(labels.join('.'), (resource) => {
      const header = Buffer.from('000081800001000100000000', 'hex');
      query.copy(header, 0, 0, 2);
      socket.send(Buffer.concat([header, question, resource]), client.port, client.address);
    });
  });
  await once(socket.bind(0, '127.0.0.1'), 'listening');
  dns.port = socket.address().port;
  onTestFinished(() => new Promise((resolve) => socket.close(() => resolve())));
  return socket;
}

/** A resource record of type SRV for the name of the question. */
function srvResource(priority: number, port: number, target: string): Buffer {
  const name = Buffer.concat([
    ...target.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ]);
  const data = Buffer.alloc(6);
  data.writeUInt16BE(priority, 0);
  data.writeUInt16BE(port, 4);
  const head = Buffer.from('c00c002100010000003c0000', 'hex');
  head.writeUInt16BE(data.length + name.length, 10);
  return Buffer.concat([head, data, name]);
}
