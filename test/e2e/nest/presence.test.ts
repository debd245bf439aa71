import { Controller } from '@nestjs/common';
import { MqttEvent, MqttServer, type MqttModuleOptions } from 'nestjs-rumqtt';
import { expect, it } from 'vitest';
import { TcpProxy } from '../../fixtures/tcp-proxy.js';
import { expectEventually, onEveryBroker, onMqtt5, startMicroservice, TestDevice } from './support.js';

const presence = { topic: 'presence/service', online: { up: true }, offline: { up: false } };

@Controller()
class Handlers {
  @MqttEvent('event')
  handle(): void {
    // Nothing to do.
  }
}

function seen(device: TestDevice): [text: string, retain: boolean][] {
  return device.received.map(({ payload, retain }) => [payload.toString(), retain]);
}

onEveryBroker((broker) => {
  it('is online after each connect, offline at a loss and at the shutdown', async () => {
    await using proxy = await TcpProxy.start(Number(new URL(broker.url).port));
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('presence/service', { qos: 1 });
    {
      await using _service = await startMicroservice(
        { ...broker, url: proxy.url },
        { controllers: [Handlers], options: { presence } },
      );
      await expectEventually(() => seen(device).length, 1);
      proxy.cut();
      await expectEventually(() => seen(device).length, 3);
    }
    await expectEventually(
      () => seen(device).map(([text]) => text),
      ['{"up":true}', '{"up":false}', '{"up":true}', '{"up":false}'],
    );

    await using later = await TestDevice.connect(broker);
    await later.mqtt.subscribeAsync('presence/service', { qos: 1 });
    await expectEventually(() => seen(later), [['{"up":false}', true]]);
    await later.mqtt.publishAsync('presence/service', '', { retain: true });
  });

  it('is announced before what the application publishes then, and withdrawn after it', async () => {
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync(['presence/plain', 'out'], { qos: 1 });
    {
      await using service = await startMicroservice(broker, { options: { presence: { topic: 'presence/plain' } } });
      void service.client.publish('out', 'last words', { qos: 1 });
    }

    await expectEventually(() => seen(device).map(([text]) => text), ['online', 'last words', 'offline']);
    await device.mqtt.publishAsync('presence/plain', '', { retain: true });
  });
});

onMqtt5((broker) => {
  it('is not withdrawn at a loss that is shorter than the delay, and carries its properties', async () => {
    await using proxy = await TcpProxy.start(Number(new URL(broker.url).port));
    await using device = await TestDevice.connect(broker);
    await device.mqtt.subscribeAsync('presence/service', { qos: 1 });
    const options: MqttModuleOptions = {
      clientId: 'delayed',
      sessionExpirySeconds: 60,
      presence: { ...presence, delaySeconds: 30, properties: { contentType: 'application/json' } },
    };
    await using _service = await startMicroservice({ ...broker, url: proxy.url }, { options });
    await expectEventually(() => seen(device).length, 1);
    proxy.cut();

    await expectEventually(() => seen(device).map(([text]) => text), ['{"up":true}', '{"up":true}']);
    expect(device.received[0]?.properties?.contentType).toBe('application/json');
    await device.mqtt.publishAsync('presence/service', '', { retain: true });
  });
});

it.each<[string, object, RegExp]>([
  [
    'together with a will',
    { presence, will: { topic: 'w', payload: '' } },
    /presence is .*, expected no will beside it/,
  ],
  ['a topic with wildcards', { presence: { topic: 'a/#' } }, /presence\.topic is /],
  ['no topic', { presence: {} }, /presence\.topic is /],
  ['a QoS that there is not', { presence: { topic: 'a', qos: 3 } }, /presence\.qos is 3/],
  ['too large', { presence: { topic: 'a', offline: 'x'.repeat(70_000) } }, /presence\.offline is .70000 bytes/],
  ['no JSON', { presence: { topic: 'a', online: 1n } }, /presence\.online is 1n/],
  ['an unknown option', { presence: { topic: 'a', retain: false } }, /presence\.retain is .*no such option/],
  ['no object', { presence: 'a' }, /presence is 'a', expected \{ topic/],
])('wrong presence options are named: %s', (_what, options, message) => {
  expect(() => new MqttServer(options as MqttModuleOptions)).toThrow(message);
});
