import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { MqttContext, MqttEvent, MqttMessage, MqttSettlementError } from 'nestjs-rumqtt';
import { describe, expect, it } from 'vitest';
import { AedesBroker } from '../../fixtures/aedes.js';
import {
  eventually,
  expectEventually,
  Latch,
  onMqtt5,
  startMicroservice,
  TestDevice,
  type TestBroker,
} from './support.js';

let latches: Record<string, Latch> = {};
let calls: string[] = [];
let contexts: MqttContext[] = [];

async function held(name: string): Promise<void> {
  calls.push(name);
  await (latches[name] ??= new Latch()).opened;
}

function release(name: string): void {
  (latches[name] ??= new Latch()).open();
}

function reset(): void {
  latches = {};
  calls = [];
  contexts = [];
}

@Controller()
class AfterHandler {
  @MqttEvent('t')
  async first(): Promise<void> {
    await held('first');
  }

  @MqttEvent('t')
  async second(): Promise<void> {
    await held('second');
  }
}

@Controller()
class Mixed {
  @MqttEvent('t', { acknowledge: 'on-receive' })
  async receive(): Promise<void> {
    await held('on-receive');
  }

  @MqttEvent('t')
  async after(): Promise<void> {
    await held('after-handler');
  }
}

@Controller()
class OnReceive {
  @MqttEvent('t', { acknowledge: 'on-receive' })
  async first(): Promise<void> {
    await held('first');
  }

  @MqttEvent('+', { acknowledge: 'on-receive' })
  async second(): Promise<void> {
    await held('second');
  }
}

@Controller()
class Manual {
  @MqttEvent('t', { acknowledge: 'manual' })
  keep(@Ctx() context: MqttContext): void {
    contexts.push(context);
  }
}

@Controller()
class ManualAndFailing {
  @MqttEvent('t', { acknowledge: 'manual' })
  fail(@Payload() data: unknown): void {
    calls.push(String(data));
    throw new Error('before it acknowledged');
  }
}

@Controller()
class Answers {
  @MqttMessage('t')
  async answer(): Promise<string> {
    await held('answer');
    return 'done';
  }
}

/** Acknowledgements as the broker sees them. */
describe('MQTT 3.1.1, aedes', () => {
  it('acknowledges when all handlers of a message are done', async () => {
    await using setup = await observe(AfterHandler);

    await expectEventually(() => calls.toSorted((a, b) => a.localeCompare(b)), ['first', 'second']);
    release('second');
    await setup.barrier();
    expect(setup.acknowledged()).toBe(0);
    release('first');
    await expectEventually(setup.acknowledged, 1);
  });

  it('does not wait for a handler that leaves it to the reception, but for its sibling', async () => {
    await using setup = await observe(Mixed);

    await expectEventually(() => calls.length, 2);
    await setup.barrier();
    expect(setup.acknowledged()).toBe(0);
    release('after-handler');
    await expectEventually(setup.acknowledged, 1);
    release('on-receive');
  });

  it('acknowledges at once when all handlers leave it to the reception', async () => {
    await using setup = await observe(OnReceive);

    await expectEventually(() => [calls.length, setup.acknowledged()], [2, 1]);
    release('first');
    release('second');
  });

  it('waits for context.acknowledge() where acknowledgement is by hand', async () => {
    await using setup = await observe(Manual);
    await expectEventually(() => contexts.length, 1);
    await setup.barrier();
    expect(setup.acknowledged()).toBe(0);
    expect(setup.service.server.stats().running).toBe(1);

    contexts[0]!.acknowledge();
    expect(() => contexts[0]!.acknowledge()).toThrow(MqttSettlementError);

    await expectEventually(() => [setup.acknowledged(), setup.service.server.stats().running], [1, 0]);
  });

  it('settles a message whose handler fails before it has acknowledged by hand', async () => {
    await using setup = await observe(ManualAndFailing);

    await expectEventually(setup.acknowledged, 1);
    expect(setup.service.server.stats()).toMatchObject({ running: 0, failed: 1 });
  });

  it('acknowledges a request when its reply is on the way', async () => {
    await using setup = await observe(Answers, '{"pattern":"t","data":1,"id":"7"}');
    await setup.device.mqtt.subscribeAsync('t/reply', { qos: 1 });
    await expectEventually(() => calls, ['answer']);
    await setup.barrier();
    expect(setup.acknowledged()).toBe(0);

    release('answer');

    await expectEventually(setup.acknowledged, 1);
    await expectEventually(
      () => setup.device.received.map(({ payload }) => JSON.parse(payload.toString()) as unknown),
      [{ response: 'done', isDisposed: true, id: '7' }],
    );
  });

  it('takes the mode of handlers from the options where they do not choose', async () => {
    await using setup = await observe(AfterHandler, '1', 'on-receive');

    await expectEventually(setup.acknowledged, 1);
    release('first');
    release('second');
  });

  it('refuses a reason code that is none, in the handler that gave it', async () => {
    await using setup = await observe(Manual);
    await expectEventually(() => contexts.length, 1);

    expect(() => contexts[0]!.reject(0x42)).toThrow(/reasonCode: 66/);
    contexts[0]!.reject(0x80);
    await expectEventually(setup.acknowledged, 1);
  });
});

onMqtt5((broker) => {
  it('lets the broker send no more than the handlers have room for', async () => {
    reset();
    await using _service = await startMicroservice(broker, {
      controllers: [AfterHandler],
      options: { receiveMaximum: 1 },
    });
    await using device = await TestDevice.connect(broker);

    await device.mqtt.publishAsync('t', '1', { qos: 1 });
    await device.mqtt.publishAsync('t', '2', { qos: 1 });
    await expectEventually(() => calls.length, 2);
    release('first');
    release('second');

    await expectEventually(() => calls.length, 4);
  });

  it('goes on after messages that were refused with a reason', async () => {
    reset();
    await using service = await startMicroservice(broker, { controllers: [Manual], options: { receiveMaximum: 1 } });

    for (const index of [0, 1, 2]) {
      await service.client.publish('t', index, { qos: 1 });
      await eventually(() => expect(contexts[index]).toBeDefined());
      contexts[index]!.reject(0x97);
    }

    await expectEventually(() => service.server.stats().running, 0);
  });
});

interface Observed extends AsyncDisposable {
  readonly service: Awaited<ReturnType<typeof startMicroservice>>;
  readonly device: TestDevice;
  /** How many messages the service has acknowledged, as the broker sees it. */
  readonly acknowledged: () => number;
  /** Resolves when all that the service sent before has reached the broker. */
  barrier(): Promise<void>;
}

async function observe(controller: new () => object, payload = '1', acknowledge?: 'on-receive'): Promise<Observed> {
  reset();
  const aedes = await AedesBroker.start();
  const broker: TestBroker = { url: aedes.url, protocolVersion: 4, copies: 'one' };
  const service = await startMicroservice(broker, {
    controllers: [controller],
    options: { clientId: 'service', drainTimeoutMs: 100, acknowledge },
  });
  const device = await TestDevice.connect(broker);
  let acknowledged = 0;
  aedes.aedes.on('ack', (_packet, client) => {
    if (client.id === 'service') acknowledged++;
  });
  await device.mqtt.publishAsync('t', payload, { qos: 1 });
  return {
    service,
    device,
    acknowledged: () => acknowledged,
    async barrier() {
      await service.client.publish('barrier', undefined, { qos: 1 });
    },
    async [Symbol.asyncDispose]() {
      await device[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
      await aedes.stop();
    },
  };
}
