import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { MqttEvent } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { expectEventually, Latch, onEveryBroker, startMicroservice } from './support.js';

let latches = new Map<unknown, Latch>();
let calls: unknown[] = [];

function latchOf(data: unknown): Latch {
  let latch = latches.get(data);
  if (latch === undefined) latches.set(data, (latch = new Latch()));
  return latch;
}

@Controller()
class Limited {
  @MqttEvent('one', { concurrency: 1 })
  async one(@Payload() data: unknown): Promise<void> {
    calls.push(['begins', data]);
    await latchOf(data).opened;
    calls.push(['ends', data]);
    if (data === 'fails') throw new Error('fails');
  }

  @MqttEvent('two')
  async two(@Payload() data: unknown): Promise<void> {
    calls.push(['begins', data]);
    await latchOf(data).opened;
  }
}

onEveryBroker((broker) => {
  it('works on no more messages at once than a handler allows, in order of arrival', async () => {
    [latches, calls] = [new Map(), []];
    await using service = await startMicroservice(broker, { controllers: [Limited] });
    for (const data of [1, 'fails', 3]) await service.client.publish('one', data, { qos: 1 });
    await expectEventually(() => service.server.stats().running, 3);
    expect(calls).toEqual([['begins', 1]]);

    for (const data of [3, 'fails', 1]) latchOf(data).open();

    await expectEventually(
      () => calls,
      [
        ['begins', 1],
        ['ends', 1],
        ['begins', 'fails'],
        ['ends', 'fails'],
        ['begins', 3],
        ['ends', 3],
      ],
    );
  });

  it('takes the limit from the options where a handler does not choose, each handler by itself', async () => {
    [latches, calls] = [new Map(), []];
    await using service = await startMicroservice(broker, { controllers: [Limited], options: { concurrency: 2 } });
    for (const data of [1, 2, 3]) await service.client.publish('two', data, { qos: 1 });
    await service.client.publish('one', 4, { qos: 1 });

    await expectEventually(() => service.server.stats().running, 4);
    expect(calls).toEqual([
      ['begins', 1],
      ['begins', 2],
      ['begins', 4],
    ]);
    latchOf(1).open();
    await expectEventually(() => calls.at(-1), ['begins', 3]);
    for (const data of [2, 3, 4]) latchOf(data).open();
  });
});
