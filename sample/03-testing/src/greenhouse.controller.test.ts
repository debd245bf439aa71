import 'reflect-metadata';
import type { INestMicroservice } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getMqttRuntimeToken, MqttServer } from 'nestjs-rumqtt';
import { MemoryBroker, MqttTestHarness, VirtualClock } from 'nestjs-rumqtt/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AppModule } from './app.module.js';
import { SensorStore } from './sensor-store.js';

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

  it('is silent otherwise', async () => {
    await harness.deliver('greenhouse/7/temperature', 21);

    broker.assertNothingPublished();
  });

  it('answers with the latest temperature', async () => {
    await harness.deliver('greenhouse/7/temperature', 21);

    expect((await harness.request('greenhouse/latest', '7')).value).toBe(21);
    expect((await harness.request('greenhouse/latest', '8')).error).toEqual({ code: 'UNKNOWN_SENSOR', sensor: '8' });
  });

  it('tries again within 10 s while the database is away', async () => {
    const save = vi.spyOn(app.get(SensorStore), 'save').mockRejectedValueOnce(new Error('away'));

    const delivery = harness.deliver('greenhouse/7/temperature', 21);
    await clock.advance(10_000);

    expect(await delivery).toMatchObject({ outcome: 'acknowledged', attempts: 2 });
    expect(save).toHaveBeenCalledTimes(2);
  });

  it('puts aside what cannot be stored', async () => {
    vi.spyOn(app.get(SensorStore), 'save').mockRejectedValue(new Error('away'));

    const delivery = harness.deliver('greenhouse/7/temperature', 21);
    await clock.advance(30_000);

    expect((await delivery).outcome).toBe('dead-lettered');
    broker.assertPublished('dead/greenhouse/7/temperature', { data: 21 });
  });

  it('refuses a calibration that is none', async () => {
    expect(await harness.deliver('greenhouse/7/calibration', 'hot')).toMatchObject({
      outcome: 'refused',
      reasonCode: 0x99,
    });
  });

  it('goes on when the network is back', async () => {
    broker.down();
    broker.cut();
    await clock.settle();
    broker.up();
    await clock.advance(60_000);
    await harness.deliver('greenhouse/7/temperature', 22);

    expect(app.get(SensorStore).latest('7')).toBe(22);
  });
});
