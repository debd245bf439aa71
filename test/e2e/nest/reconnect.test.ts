import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { MqttEvent, MqttMessage } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';
import { expectEventually, onEveryBroker, startMicroservice, TestDevice } from './support.js';

let calls: unknown[] = [];

@Controller()
class Handlers {
  @MqttEvent('event')
  event(@Payload() data: unknown): void {
    calls.push(data);
  }

  @MqttMessage('double')
  double(@Payload() value: number): number {
    return value * 2;
  }
}

onEveryBroker((broker) => {
  it('goes on after the connection was lost: handlers, requests, and what was published meanwhile', async () => {
    calls = [];
    await using proxy = await TcpProxy.start(Number(new URL(broker.url).port));
    await using service = await startMicroservice({ ...broker, url: proxy.url }, { controllers: [Handlers] });
    await using device = await TestDevice.connect(broker);
    await expect(service.client.request('double', 1)).resolves.toBe(2);

    await proxy.down();
    const published = service.client.publish('event', 'while away', { qos: 1 });
    const answered = service.client.request('double', 21);
    await expectEventually(() => service.log.of('warn', 'MqttConnection').length > 0, true);
    await proxy.up();

    await published;
    await expect(answered).resolves.toBe(42);
    await device.mqtt.publishAsync('event', '"after"', { qos: 1 });
    await expectEventually(() => calls, ['while away', 'after']);
  });

  it('logs one line when a connection is made, lost and restored, without credentials', async () => {
    await using proxy = await TcpProxy.start(Number(new URL(broker.url).port));
    await using service = await startMicroservice(
      { ...broker, url: `mqtt://user:hunter2@127.0.0.1:${proxy.port}` },
      { options: { clientId: 'logged' } },
    );

    proxy.cut();
    await expectEventually(() => service.client.unwrap().stats().connections, 2);

    const version = broker.protocolVersion === 5 ? 'MQTT 5' : 'MQTT 3.1.1';
    expect(service.log.of('log', 'MqttConnection')).toEqual([
      `connected to mqtt://127.0.0.1:${proxy.port} (${version}, client "logged")`,
      `connection restored to mqtt://127.0.0.1:${proxy.port} (${version}, client "logged")`,
    ]);
    expect(service.log.of('warn', 'MqttConnection')).toEqual([
      expect.stringMatching(/^connection lost: .*; next attempt in \d+ ms$/),
    ]);
    expect(JSON.stringify(service.log.lines)).not.toContain('hunter2');
  });
});
