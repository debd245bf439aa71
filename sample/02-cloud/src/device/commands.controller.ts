import { Controller, UseGuards } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { JwtAuthGuard, MqttEvent, TokenClaims } from 'nestjs-rumqtt';
import { CommandsService } from './commands.service.js';

/** Obeys the cloud: commands with a token that it has signed for this device. */
@Controller()
@UseGuards(JwtAuthGuard)
export class CommandsController {
  constructor(private readonly commands: CommandsService) {}

  @MqttEvent('devices/+device/commands', { qos: 1 })
  obey(@Payload('sequence') sequence: number, @TokenClaims('sequence') signed: number): void {
    if (sequence === signed) this.commands.add(sequence);
  }
}
