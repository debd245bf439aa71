import { Controller } from '@nestjs/common';
import { Payload, RpcException } from '@nestjs/microservices';
import { MqttEvent, MqttMessage, TopicParam } from 'nestjs-rumqtt';
import type { Reading } from './reading.js';
import { ReadingsService, type HostSummary } from './readings.service.js';

/** `+host` is MQTT's `+` with a name: it matches one level of the topic, which `@TopicParam('host')` hands over. */
@Controller()
export class ReadingsController {
  constructor(private readonly readings: ReadingsService) {}

  @MqttEvent('hosts/+host/cpu/+core', { qos: 1 })
  onCpu(@Payload() reading: Reading, @TopicParam('host') host: string, @TopicParam('core') core: string): void {
    this.readings.record(host, `cpu/${core}`, reading);
  }

  @MqttEvent('hosts/+host/memory', { qos: 1 })
  onMemory(@Payload() reading: Reading, @TopicParam('host') host: string): void {
    this.readings.record(host, 'memory', reading);
  }

  @MqttEvent('hosts/+host/load', { qos: 1 })
  onLoad(@Payload() reading: Reading, @TopicParam('host') host: string): void {
    this.readings.record(host, 'load', reading);
  }

  @MqttEvent('hosts/+host/network/+name', { qos: 1 })
  onNetwork(@Payload() reading: Reading, @TopicParam('host') host: string, @TopicParam('name') name: string): void {
    this.readings.record(host, `network/${name}`, reading);
  }

  @MqttMessage('hosts/+host/summary')
  summarize(@TopicParam('host') host: string): HostSummary {
    const summary = this.readings.summaryOf(host);
    if (!summary) throw new RpcException(`no readings of ${host}`);
    return summary;
  }
}
