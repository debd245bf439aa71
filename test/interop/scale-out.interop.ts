import { rmSync } from 'node:fs';
import { EventLoop } from 'nestjs-rumqtt/eventloop';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { describeWithMosquitto, Mosquitto } from '../fixtures/mosquitto.js';
import { transpile } from '../fixtures/transpile.js';
import { ServiceProcess } from './processes.js';

const KEYS = 10;

let library: string;
beforeAll(() => {
  library = transpile('lib');
});
afterAll(() => rmSync(library, { recursive: true, force: true }));

class Shop {
  readonly broker: Mosquitto;
  readonly #publisher: EventLoop;
  #next = 0;

  constructor(broker: Mosquitto, publisher: EventLoop) {
    this.broker = broker;
    this.#publisher = publisher;
  }

  static async open(): Promise<Shop> {
    const broker = await Mosquitto.start();
    onTestFinished(() => broker.stop());
    const publisher = new EventLoop({ url: broker.url });
    onTestFinished(async () => void (await publisher.shutdown({ drainTimeoutMs: 0 })));
    await publisher.start();
    return new Shop(broker, publisher);
  }

  /** @returns the numbers of the messages, all of which the broker has acknowledged */
  async place(count: number): Promise<number[]> {
    const numbers = Array.from({ length: count }, () => this.#next++);
    await Promise.all(
      numbers.map((number) => {
        const key = `${number % KEYS}`;
        return this.#publisher.publish(`orders/${key}`, JSON.stringify({ key, number }), { qos: 1 });
      }),
    );
    return numbers;
  }

  /** A member of the group; the broker keeps its session, unless it is `forgotten` when its connection ends. */
  member(name: string, { forgotten = false } = {}): Promise<ServiceProcess> {
    return ServiceProcess.start(library, {
      url: this.broker.url,
      share: 'shop',
      clientId: `shop-${name}`,
      clean: forgotten,
    });
  }
}

const finished = (services: readonly ServiceProcess[]): number[] =>
  services.flatMap((service) => service.numbers('finished')).toSorted((a, b) => a - b);

async function expectFinished(services: readonly ServiceProcess[], numbers: readonly number[]): Promise<void> {
  await vi.waitFor(() => expect(new Set(finished(services)).size).toBe(numbers.length), {
    timeout: 60_000,
    interval: 20,
  });
  expect(finished(services)).toEqual(numbers);
}

function expectKeysInOrder(service: ServiceProcess): void {
  for (let key = 0; key < KEYS; key++) {
    const events = service.events.filter((event) => event.key === `${key}`);
    const began = events.filter(({ event }) => event === 'began').map(({ number }) => number);
    expect(began).toEqual(began.toSorted((a, b) => a - b));
    // One after the other: each begins when the one before has finished.
    expect(events.map(({ event }) => event)).toEqual(began.flatMap(() => ['began', 'finished']));
  }
}

describeWithMosquitto('Three processes of one service that share their subscriptions, on Mosquitto', () => {
  test('handle each message once while all live, and the messages of a key in order within a process', async () => {
    const shop = await Shop.open();
    const services = await Promise.all(['a', 'b', 'c'].map((name) => shop.member(name)));
    const numbers = await shop.place(300);

    await expectFinished(services, numbers);

    for (const service of services) {
      expect(service.numbers('finished').length).toBeGreaterThan(0);
      expectKeysInOrder(service);
    }
    // Keys run in parallel, so their messages finish in another order than they came.
    const order = services[0]!.numbers('finished');
    expect(order).not.toEqual(order.toSorted((a, b) => a - b));
  });

  test('lose nothing when one is killed: what it had waits for its client identifier, and is handled when that is back', async () => {
    const shop = await Shop.open();
    const services = await Promise.all(['a', 'b', 'c'].map((name) => shop.member(name)));
    const [victim, ...others] = services as [ServiceProcess, ServiceProcess, ServiceProcess];
    const before = await shop.place(30);
    await expectFinished(services, before);
    await victim.hold();
    const during = await shop.place(60);
    await vi.waitFor(() => expect(victim.numbers('began').length).toBeGreaterThan(victim.numbers('finished').length));
    await victim.kill();
    const after = await shop.place(60);
    const all = [...before, ...during, ...after];

    // The others go on with theirs. Nothing of the dead one goes to them, and it goes on being dealt its share.
    await vi.waitFor(() => expect(finished(services).length).toBeGreaterThan(before.length + during.length / 3));
    const replacement = await shop.member('a');
    await expectFinished([...services, replacement], all);

    const own = replacement.numbers('finished');
    expect(own.filter((number) => during.includes(number))).toHaveLength(during.length / 3);
    expect(own.filter((number) => after.includes(number))).toHaveLength(after.length / 3);
    expect(others.map((service) => service.numbers('finished').length)).toEqual([50, 50]);
    for (const service of [...others, replacement]) expectKeysInOrder(service);
  });

  test('lose what a killed one had when its session ends with the connection, which is why the session has to be kept', async () => {
    const shop = await Shop.open();
    const members = ['a', 'b', 'c'].map((name) => shop.member(name, { forgotten: true }));
    const services = await Promise.all(members);
    const [victim, ...others] = services as [ServiceProcess, ServiceProcess, ServiceProcess];
    await victim.hold();
    const during = await shop.place(60);
    await vi.waitFor(() => expect(finished(others)).toHaveLength((2 / 3) * during.length));
    const had = during.filter((number) => !finished(others).includes(number));
    await victim.kill();
    // Dealt among the two that are left; a replacement joins them and finds nothing.
    const replacement = await shop.member('a', { forgotten: true });
    const after = await shop.place(60);

    const expected = [...during.filter((number) => !had.includes(number)), ...after];
    await expectFinished([...others, replacement], expected);
    expect(had).toHaveLength(during.length / 3);
  });
});
