import { Module } from '@nestjs/common';
import { MqttModule } from 'nestjs-rumqtt';
import { GreenhouseController } from './greenhouse.controller.js';
import { SensorStore } from './sensor-store.js';

@Module({
  imports: [MqttModule.register({ url: process.env['MQTT_URL'] ?? 'mqtt://localhost:1883', clientId: 'greenhouse' })],
  controllers: [GreenhouseController],
  providers: [SensorStore],
})
export class AppModule {}
