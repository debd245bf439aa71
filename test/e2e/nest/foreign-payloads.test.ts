import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { MqttContext, MqttEvent, MqttMessage } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, onMqtt5, startMicroservice, TestDevice } from './support.js';

let received: unknown[] = [];
let raw: Buffer[] = [];

@Controller()
class Devices {
  @MqttEvent('device/#')
  record(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    received.push(data);
    raw.push(context.getPayload());
  }

  @MqttMessage('double')
  double(@Payload() value: number): number {
    return value * 2;
  }

  @MqttMessage('refuse')
  refuse(): never {
    throw new Error('no');
  }

  @MqttMessage('silent')
  silent(): void {
    // Returns nothing.
  }
}

onEveryBroker((broker) => {
  it.each<[description: string, payload: string | Buffer, data: unknown]>([
    ['JSON with a data key stays whole', '{"data":{"t":1},"unit":"C"}', { data: { t: 1 }, unit: 'C' }],
    ['JSON with id and data is an event, and stays whole', '{"id":"7","data":1}', { id: '7', data: 1 }],
    ['an envelope for another topic is data', '{"pattern":"other","data":1}', { pattern: 'other', data: 1 }],
    [
      'an envelope with a further key is data',
      '{"pattern":"device/x","data":1,"x":2}',
      { pattern: 'device/x', data: 1, x: 2 },
    ],
    ['text', 'temp=21.5', 'temp=21.5'],
    ['text that begins like JSON', '12 kPa', '12 kPa'],
    ['nothing', '', ''],
    ['a number', '21.5', 21.5],
    ['an array', '[1,2]', [1, 2]],
    ['bytes', Buffer.from([0xff, 0xfe, 0x00, 0x80]), Buffer.from([0xff, 0xfe, 0x00, 0x80])],
  ])('hands over what a device published: %s', async (_description, payload, data) => {
    received = [];
    raw = [];
    await using service = await startMicroservice(broker, { controllers: [Devices] });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('#');

    await device.mqtt.publishAsync('device/x', payload, { qos: 1 });

    await expectEventually(() => received, [data]);
    expect(raw).toEqual([Buffer.from(payload)]);
    await service.client.publish('barrier');
    await expectEventually(() => device.received.map(({ topic }) => topic).includes('barrier'), true);
    expect(device.received.map(({ topic }) => topic)).toEqual(['device/x', 'barrier']);
  });

  it('does not let a "__proto__" key through', async () => {
    received = [];
    await using _service = await startMicroservice(broker, { controllers: [Devices] });
    await using device = await TestDevice.connect(broker);

    await device.mqtt.publishAsync('device/x', '{"a":{"__proto__":{"admin":true},"b":1},"\\u005f_proto__":{"c":1}}', {
      qos: 1,
    });

    await expectEventually(() => received, [{ a: { b: 1 } }]);
    expect(Object.assign({}, received[0])).not.toHaveProperty('c');
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });
});

onMqtt5((broker) => {
  it('answers a device that gives a response topic with the bare value', async () => {
    await using _service = await startMicroservice(broker, { controllers: [Devices] });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('inbox/of/device', { qos: 1 });
    const ask = (topic: string, payload: string, id: string): Promise<unknown> =>
      device.mqtt.publishAsync(topic, payload, {
        qos: 1,
        properties: { responseTopic: 'inbox/of/device', correlationData: Buffer.from(id) },
      });

    await ask('double', '21', 'a');
    await expectEventually(() => device.received.length, 1);
    await ask('refuse', '', 'b');
    await expectEventually(() => device.received.length, 2);
    await ask('silent', '', 'c');
    await expectEventually(() => device.received.length, 3);

    expect(
      device.received.map(({ payload, properties }) => [
        payload.toString(),
        properties?.correlationData?.toString(),
        properties?.userProperties?.['nest-status'],
      ]),
    ).toEqual([
      ['42', 'a', undefined],
      ['{"status":"error","message":"Internal server error"}', 'b', 'error'],
      ['', 'c', 'complete'],
    ]);
  });

  it('asks a device that answers to the response topic, without an envelope', async () => {
    await using service = await startMicroservice(broker);
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('device/7/do', { qos: 1 });
    device.mqtt.on('message', (_topic, payload, { properties }) => {
      device.mqtt.publish(properties!.responseTopic!, `done: ${payload.toString()}`, {
        properties: { correlationData: properties!.correlationData! },
      });
    });

    await expect(service.client.request('device/7/do', 'reboot', { envelope: 'none' })).resolves.toBe('done: reboot');
  });

  it('accepts a bare answer to a request in an envelope too', async () => {
    await using service = await startMicroservice(broker);
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('device/8/do', { qos: 1 });
    device.mqtt.on('message', (_topic, payload, { properties }) => {
      const { data } = JSON.parse(payload.toString()) as { data: string };
      device.mqtt.publish(properties!.responseTopic!, JSON.stringify({ id: 'own', data }), {
        properties: { correlationData: properties!.correlationData! },
      });
    });

    await expect(service.client.request('device/8/do', 'reboot')).resolves.toEqual({ id: 'own', data: 'reboot' });
  });

  it('does not accept an answer with correlation data that it never gave', async () => {
    await using service = await startMicroservice(broker);
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('device/9/do', { qos: 1 });
    device.mqtt.on('message', (_topic, _payload, { properties }) => {
      const topic = properties!.responseTopic!;
      device.mqtt.publish(topic, 'forged', { properties: { correlationData: Buffer.alloc(16) } });
      device.mqtt.publish(topic, '{"id":"__proto__","response":"forged","isDisposed":true}');
      device.mqtt.publish(topic, 'true', { properties: { correlationData: properties!.correlationData! } });
    });

    await expect(service.client.request('device/9/do', 1)).resolves.toBe(true);
    expect(service.client.stats().strayReplies).toBe(2);
  });
});
