import { Controller } from '@nestjs/common';
import { Ctx, MqttRecord, MqttRecordBuilder, Payload } from '@nestjs/microservices';
import { MqttContext, MqttEvent, MqttMessage } from 'nestjs-rumqtt';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, onMqtt5, startMicroservice, TestDevice } from './support.js';

let calls: unknown[] = [];

@Controller()
class Handlers {
  @MqttEvent('in/#')
  record(@Payload() data: unknown, @Ctx() context: MqttContext): void {
    calls.push([data, context.getMessage().qos]);
  }

  @MqttMessage('record')
  answer(): MqttRecord {
    return new MqttRecordBuilder({ a: 1 }).setQoS(1).setRetain(true).build();
  }
}

onEveryBroker((broker) => {
  it.each<[string, unknown, Buffer]>([
    ['text as it is', 'grün', Buffer.from('grün')],
    ['bytes as they are', Buffer.from([0xff, 0x00]), Buffer.from([0xff, 0x00])],
    ['other views by their bytes', new Uint16Array([1, 2]), Buffer.from([1, 0, 2, 0])],
    ['nothing as an empty payload', undefined, Buffer.alloc(0)],
    ['objects as JSON', { a: [1, null], ['data']: 1 }, Buffer.from('{"a":[1,null],"data":1}')],
    ['numbers as JSON', 1.5, Buffer.from('1.5')],
    ['null as JSON', null, Buffer.from('null')],
  ])('publishes %s', async (_description, data, payload) => {
    await using service = await startMicroservice(broker);
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('out');

    await service.client.publish('out', data);

    await expectEventually(() => device.received.map((packet) => packet.payload), [payload]);
  });

  it('clears a retained message with an empty payload', async () => {
    await using service = await startMicroservice(broker);
    await service.client.publish('kept', 'x', { qos: 1, retain: true });

    await service.client.publish('kept', undefined, { qos: 1, retain: true });

    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('#');
    await service.client.publish('barrier');
    await expectEventually(() => device.received.map(({ topic }) => topic), ['barrier']);
  });

  it('tells on enqueue that a message was taken, and later that it has arrived', async () => {
    await using service = await startMicroservice(broker);

    const delivery = await service.client.enqueue('out', { a: 1 }, { qos: 1 });

    await expect(delivery.completed).resolves.toMatchObject({ qos: 1 });
  });

  it('names what is wrong with a message', async () => {
    await using service = await startMicroservice(broker);
    const { client } = service;
    const circular: { self?: unknown } = {};
    circular.self = circular;

    await expect(client.publish('a/+')).rejects.toMatchObject({ code: 'MQTT_INVALID_ARGUMENT', field: 'topic' });
    await expect(client.publish('a', circular)).rejects.toMatchObject({ field: 'data' });
    await expect(client.publish('a', () => 1)).rejects.toMatchObject({ field: 'data' });
    await expect(client.enqueue('a', 1n)).rejects.toMatchObject({ field: 'data' });
    await expect(client.publish('a', 1, { qos: 3 as 0 })).rejects.toMatchObject({ field: 'qos', value: 3 });
    await expect(lastValueFrom(client.emit('', 1))).rejects.toMatchObject({ field: 'topic' });
    await expect(firstValueFrom(client.emit('a', undefined))).rejects.toThrow();
    await expect(firstValueFrom(client.send('a', null))).rejects.toThrow();
  });

  it('sends records again and again with the same options, and changes neither them nor their data', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    const data = { options: 'mine', k: 1 };
    const record = new MqttRecordBuilder(data).setQoS(1).build();

    await firstValueFrom(service.client.emit('in/a', record));
    await firstValueFrom(service.client.emit('in/a', record));
    await service.client.publish('in/a', record);
    await firstValueFrom(service.client.emit('in/a', data));

    await expectEventually(
      () => calls,
      [
        [data, 1],
        [data, 1],
        [data, 1],
        [data, 0],
      ],
    );
    expect(data).toEqual({ options: 'mine', k: 1 });
    expect(record).toEqual(new MqttRecordBuilder(data).setQoS(1).build());
  });

  it('emits bytes as they are', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Handlers] });

    await firstValueFrom(service.client.emit('in/a', Buffer.from([0xff, 0xfe])));

    await expectEventually(() => calls, [[Buffer.from([0xff, 0xfe]), 0]]);
  });

  it('emits at once, and tells late subscribers too', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Handlers] });

    const emitted = service.client.emit('in/a', 'x');
    await expectEventually(() => calls.length, 1);

    await expect(lastValueFrom(emitted)).resolves.toBeDefined();
  });

  it('logs a failed emit that nobody observes, once, and only that', async () => {
    await using service = await startMicroservice(broker);

    service.client.emit('a/+', 'unobserved');
    await expect(firstValueFrom(service.client.emit('b/+', 'observed'))).rejects.toThrow();

    await expectEventually(
      () => service.log.of('error', 'MqttClient'),
      [expect.stringContaining('invalid topic: "a/+"')],
    );
  });

  it('unwraps a record that a handler returns, and replies as it says', async () => {
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('record/reply', { qos: 1 });

    await expect(service.client.request('record')).resolves.toEqual({ a: 1 });
    await device.mqtt.publishAsync('record', '{"pattern":"record","data":1,"id":"7"}');

    await expectEventually(
      () => device.received.map(({ payload, qos }) => [JSON.parse(payload.toString()), qos]),
      [[{ response: { a: 1 }, isDisposed: true, id: '7' }, 1]],
    );
    await service.client.publish('record/reply', undefined, { retain: true, qos: 1 });
  });

  it('reports the status of the connection', async () => {
    const service = await startMicroservice(broker);
    const client: string[] = [];
    const server: string[] = [];
    service.client.status.subscribe((status) => client.push(status));
    service.app.status.subscribe((status) => server.push(status));

    await service.app.close();

    expect(client).toEqual(['connected', 'closing', 'closed']);
    expect(server).toEqual(client);
  });
});

onMqtt5((broker) => {
  it('sends requests, events and publishes in the order they were made', async () => {
    // aedes keeps no order between topics.
    await using service = await startMicroservice(broker, { controllers: [Handlers] });
    await using device = await TestDevice.connect(broker);
    await firstValueFrom(service.client.send('record', 0)); // subscribes to replies
    await device.mqtt.subscribeAsync(['record', 'in/#']);

    const answer = firstValueFrom(service.client.send('record', 1));
    service.client.emit('in/a', 2);
    void service.client.publish('in/b', 3);

    await answer;
    await expectEventually(() => device.received.map(({ topic }) => topic), ['record', 'in/a', 'in/b']);
  });

  it('sends the properties of a publish and of a record', async () => {
    await using service = await startMicroservice(broker);
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('out');

    await service.client.publish('out', 'x', { properties: { contentType: 'text/plain', userProperties: { a: '1' } } });
    await firstValueFrom(
      service.client.emit('out', new MqttRecordBuilder('x').setProperties({ userProperties: { b: '2' } }).build()),
    );

    await expectEventually(
      () => device.received.map(({ properties }) => ({ ...properties?.userProperties })),
      [{ a: '1' }, { b: '2' }],
    );
    expect(device.received[0]?.properties?.contentType).toBe('text/plain');
  });
});
