import 'reflect-metadata';
import type { INestMicroservice } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { getMqttRuntimeToken, MqttServer } from 'nestjs-rumqtt';
import { MemoryBroker, MqttTestHarness, VirtualClock } from 'nestjs-rumqtt/testing';
import { AppModule } from '../../sample/03-testing/src/app.module.js';
import { SensorStore } from '../../sample/03-testing/src/sensor-store.js';

describe('GreenhouseController', () => {
  let clock: VirtualClock;
  let broker: MemoryBroker;
  let app: INestMicroservice;
  let harness: MqttTestHarness;

  beforeEach(async () => {
    clock = new VirtualClock();
    broker = new MemoryBroker({ clock });
    const module = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(getMqttRuntimeToken())
      .useValue(broker.runtime)
      .compile();
    app = module.createNestMicroservice({ strategy: module.get(MqttServer), logger: false });
    await app.listen();
    harness = new MqttTestHarness(broker, module.get(MqttServer));
  });

  afterEach(async () => {
    await app.close();
    await broker.close();
    broker.assertClean();
  });

  it('raises an alarm, which is retained, when it is too hot', async () => {
    const { outcome } = await harness.deliver('greenhouse/7/temperature', 45);

    expect(outcome).toBe('acknowledged');
    broker.assertPublished('greenhouse/7/alarm', { data: { celsius: 45 }, qos: 1, retain: true });
  });

  it('answers', async () => {
    await harness.deliver('greenhouse/7/temperature', 21);

    expect((await harness.request('greenhouse/latest', '7')).value).toBe(21);
  });

  it('puts aside what cannot be stored, in virtual time', async () => {
    const save = jest.spyOn(app.get(SensorStore), 'save').mockRejectedValue(new Error('away'));

    const delivery = harness.deliver('greenhouse/7/temperature', 21);
    await clock.advance(30_000);

    expect(await delivery).toMatchObject({ outcome: 'dead-lettered', attempts: 3 });
    expect(save).toHaveBeenCalledTimes(3);
  });
});
