import { Controller } from '@nestjs/common';
import { Payload, RpcException } from '@nestjs/microservices';
import {
  InjectMqttClient,
  MqttClient,
  MqttEvent,
  MqttMessage,
  rejectFailures,
  retryThenDeadLetter,
  TopicParam,
} from 'nestjs-rumqtt';
import { SensorStore } from './sensor-store.js';

const tooHot = 40;

@Controller()
export class GreenhouseController {
  constructor(
    private readonly store: SensorStore,
    @InjectMqttClient() private readonly mqtt: MqttClient,
  ) {}

  /** The database may be away for a while. */
  @MqttEvent('greenhouse/+sensor/temperature', retryThenDeadLetter({ attempts: 3, minDelayMs: 10_000 }))
  async record(@Payload() celsius: number, @TopicParam('sensor') sensor: string): Promise<void> {
    await this.store.save(sensor, celsius);
    if (celsius > tooHot) await this.mqtt.publish(`greenhouse/${sensor}/alarm`, { celsius }, { qos: 1, retain: true });
  }

  @MqttEvent('greenhouse/+sensor/calibration', rejectFailures(0x99))
  calibrate(@Payload() offset: unknown): void {
    if (typeof offset !== 'number') throw new RpcException('a calibration is a number');
  }

  @MqttMessage('greenhouse/latest')
  latest(@Payload() sensor: string): number {
    const celsius = this.store.latest(sensor);
    if (celsius === undefined) throw new RpcException({ code: 'UNKNOWN_SENSOR', sensor });
    return celsius;
  }
}
