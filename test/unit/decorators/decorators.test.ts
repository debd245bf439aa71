import 'reflect-metadata';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { describe, expect, it } from 'vitest';
import { MqttEvent, MqttMessage } from '../../../lib/decorators/handler.decorator.js';

class Ours {
  @MqttEvent('a/+x', { qos: 1, share: 'g' })
  event(): void {
    // Carries metadata.
  }

  @MqttMessage({ cmd: 'sum' }, { name: 'left', concurrency: 2 })
  message(): void {
    // Carries metadata.
  }

  @MqttEvent(['a', 'b'])
  several(): void {
    // Carries metadata.
  }
}

class Nests {
  @EventPattern('a/+x', { qos: 1, share: 'g' })
  event(_data: unknown): void {
    // Carries metadata.
  }

  @MessagePattern({ cmd: 'sum' }, Symbol.for('mqtt:left'), { concurrency: 2 })
  message(): void {
    // Carries metadata.
  }

  @EventPattern<string[]>(['a', 'b'])
  several(): void {
    // Carries metadata.
  }
}

describe('our decorators', () => {
  it.each(['event', 'message', 'several'] as const)("leave what Nest's leave (%s)", (method) => {
    expect(metadataOf(Ours.prototype[method])).toEqual(metadataOf(Nests.prototype[method]));
  });

  it("keep what another decorator has added to the handler's extras", () => {
    class Both {
      @MqttEvent('a', { qos: 1 })
      @ofAnotherPackage
      handle(): void {
        // Carries metadata.
      }
    }

    expect(metadataOf(Both.prototype.handle)['microservices:pattern_extras']).toEqual({ other: 1, qos: 1 });
  });
});

function ofAnotherPackage(_target: object, _key: string, { value }: PropertyDescriptor): void {
  Reflect.defineMetadata('microservices:pattern_extras', { other: 1 }, value as object);
}

function metadataOf(handler: object): Record<string, unknown> {
  return Object.fromEntries(
    Reflect.getMetadataKeys(handler)
      .filter((key: string) => !key.startsWith('design:'))
      .map((key: string) => [key, Reflect.getMetadata(key, handler) as unknown]),
  );
}
