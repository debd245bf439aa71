import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { InjectMqttClient, MqttClient } from 'nestjs-rumqtt';

@Controller('health')
export class HealthController {
  constructor(@InjectMqttClient() private readonly mqtt: MqttClient) {}

  /** 200 while connected, 503 otherwise. */
  @Get()
  health(): object {
    const loop = this.mqtt.unwrap();
    const health = { mqtt: loop.status, server: loop.negotiated?.server, ...loop.stats() };
    if (!health.connected) throw new ServiceUnavailableException(health);
    return health;
  }
}
