import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoop, jwt, type CredentialsProvider } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { JwtBroker } from '../../fixtures/jwt-broker.js';

/** `npm run test:jwt` runs a minute. */
const SECONDS = Number(process.env['JWT_SECONDS'] ?? 4);
const TOKEN_SECONDS = 4;
const FEWEST_RENEWALS = 2;
const MESSAGES_PER_SECOND = 500;

/** Publishes 0, 1, 2, … with QoS 1 until told to stop. @returns how many */
async function publishAll(loop: EventLoop, prefix: string, goesOn: () => boolean): Promise<number> {
  let count = 0;
  const completed: Promise<unknown>[] = [];
  for (; goesOn(); count++) {
    const delivery = await loop.enqueue(`${prefix}/${count % 10}`, String(count), { qos: 1 });
    completed.push(delivery.completed);
  }
  // Rejects when one was lost on our side.
  await Promise.all(completed);
  return count;
}

function collect(loop: EventLoop): Set<number> {
  const numbers = new Set<number>();
  loop.onMessage(({ payload }) => void numbers.add(Number(payload.toString())));
  return numbers;
}

function missing(received: ReadonlySet<number>, count: number): number[] {
  return Array.from({ length: count }, (_, number) => number).filter((number) => !received.has(number));
}

/** A token service that throws, hands out what has expired, and hangs, in turn; one call in two is answered. */
function faulty(provider: CredentialsProvider): CredentialsProvider {
  let calls = 0;
  return (request) => {
    switch (calls++ % 6) {
      case 1:
        throw new Error('away');
      case 3:
        return { password: 'stale', expiresAt: request.epochMs - 1 };
      case 5:
        return new Promise(() => {});
      default:
        return provider(request);
    }
  };
}

test.concurrent.each<[string, (provider: CredentialsProvider) => CredentialsProvider]>([
  ['a token service that answers', (provider) => provider],
  ['a token service that fails every other time', faulty],
])(
  'tokens that live for seconds, with %s: 0 messages lost both ways under load, 0 connects with a stale token',
  async (_name, service) => {
    await using broker = await JwtBroker.start();
    const tokens = jwt({
      key: broker.privateKey,
      algorithm: 'ES256',
      audience: broker.audience,
      expiresInSeconds: TOKEN_SECONDS,
      claims: ({ clientId }) => ({ sub: clientId }),
      username: 'device',
    });
    const common = { url: broker.url, clean: false, protocolVersion: 4, throttle: MESSAGES_PER_SECOND } as const;
    const reconnect = { policy: 'always', minDelayMs: 50, maxDelayMs: 200 } as const;
    const device = new EventLoop({
      ...common,
      clientId: 'device-1',
      credentials: service(tokens),
      connectTimeoutMs: 500,
      reconnect,
    });
    const witness = new EventLoop({
      ...common,
      clientId: 'witness',
      credentials: { username: 'witness', password: '' },
    });
    // aedes itself ends a session now and then that is resumed under load ("no such packet"): more connects than renewals.
    let renewals = 0;
    device.on('credentials-renewed', () => renewals++);
    const [atDevice, atWitness] = [collect(device), collect(witness)];
    try {
      await Promise.all([device.start(), witness.start()]);
      await Promise.all([device.subscribe('down/#', { qos: 1 }), witness.subscribe('up/#', { qos: 1 })]);
      const endsAtMs = performance.now() + SECONDS * 1_000;
      const goesOn = (): boolean => performance.now() < endsAtMs || renewals < FEWEST_RENEWALS;
      const [up, down] = await Promise.all([publishAll(device, 'up', goesOn), publishAll(witness, 'down', goesOn)]);
      // What the broker has acknowledged it still has to deliver.
      while (atWitness.size < up || atDevice.size < down) await sleep(20);
      expect(missing(atWitness, up)).toEqual([]);
      expect(missing(atDevice, down)).toEqual([]);
      expect(broker).toMatchObject({ staleConnects: 0, refusals: 0 });
      expect(broker.connects).toBeGreaterThan(FEWEST_RENEWALS);
      if (process.env['JWT_SECONDS'] !== undefined) {
        const { connects, cuts } = broker;
        process.stdout.write(`${up} up, ${down} down, ${connects} connects, ${renewals} renewals, ${cuts} cuts\n`);
      }
    } finally {
      await Promise.all([device, witness].map((loop) => loop.shutdown({ drainTimeoutMs: 0 })));
    }
  },
  SECONDS * 1_000 + 60_000,
);
