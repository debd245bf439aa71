import { Controller, Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientProxy,
  ClientsModule,
  EventPattern,
  MessagePattern,
  Payload,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import { type EventLoop, MqttClient, MqttServer, getMqttTransportId } from 'nestjs-rumqtt';
import { firstValueFrom } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, optionsFor, TestLog } from './support.js';

let calls: unknown[] = [];

@Controller()
class Handlers {
  @EventPattern('event')
  event(@Payload() data: unknown): void {
    calls.push(data);
  }

  @MessagePattern('double')
  double(@Payload() value: number): number {
    return value * 2;
  }
}

@Module({ controllers: [Handlers] })
class ServiceModule {}

@Injectable()
class User {
  constructor(@Inject('CALCULATOR') readonly client: ClientProxy) {}
}

onEveryBroker((broker) => {
  it('serves as a strategy, and as a client of ClientsModule, without the module', async () => {
    calls = [];
    @Module({
      imports: [
        ClientsModule.register([
          { name: 'CALCULATOR', customClass: MqttClient, options: { ...optionsFor(broker), clientId: 'user' } },
        ]),
      ],
      providers: [User],
    })
    class UserModule {}
    const server = new MqttServer(optionsFor(broker));
    const service = await NestFactory.createMicroservice<MicroserviceOptions>(ServiceModule, {
      strategy: server,
      logger: new TestLog(),
      abortOnError: false,
    });
    await service.listen();
    const user = await NestFactory.createApplicationContext(UserModule, { logger: new TestLog(), abortOnError: false });
    const { client } = user.get(User);

    await expect(firstValueFrom(client.send('double', 21))).resolves.toBe(42);
    client.emit('event', 'hello');
    await expectEventually(() => calls, ['hello']);

    await user.close();
    await service.close();
    expect(client.unwrap<EventLoop>().status).toBe('closed');
    expect(server.unwrap().status).toBe('closed');
  });

  it('connects by itself with the first thing it has to send', async () => {
    const client = new MqttClient(optionsFor(broker));
    expect(client.unwrap().status).toBe('idle');

    await Promise.all([client.publish('a', 1, { qos: 1 }), client.publish('b', 2)]);

    expect(client.unwrap().stats().connections).toBe(1);
    await client.close();
    await expect(client.publish('a', 1)).rejects.toMatchObject({ code: 'MQTT_CLOSED' });
  });

  it('goes by the name that it is given', async () => {
    const server = new MqttServer({ ...optionsFor(broker), name: 'factory' });

    expect(server.transportId).toBe(getMqttTransportId('factory'));
    await server.close();
  });
});
