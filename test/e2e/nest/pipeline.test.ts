import {
  Controller,
  Injectable,
  ParseIntPipe,
  Scope,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { MqttContext, MqttEvent, MqttMessage, TopicParam } from 'nestjs-rumqtt';
import { map, tap, type Observable } from 'rxjs';
import { expect, it } from 'vitest';
import { expectEventually, onEveryBroker, startMicroservice } from './support.js';

let calls: unknown[] = [];

@Injectable()
class OnlyKnownPlants implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToRpc().getContext<MqttContext>().getTopicParam('plant') === 'known';
  }
}

@Injectable()
class Doubling implements PipeTransform<unknown> {
  transform(value: unknown): unknown {
    return typeof value === 'number' ? value * 2 : value;
  }
}

@Injectable()
class Tracing implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    calls.push(['before', context.switchToRpc().getContext<MqttContext>().getTopic()]);
    return next.handle().pipe(
      map((value) => (typeof value === 'number' ? value + 1 : value)),
      tap({ complete: () => calls.push('after') }),
    );
  }
}

@Controller()
@UseInterceptors(Tracing)
class Pipeline {
  @UseGuards(OnlyKnownPlants)
  @UsePipes(Doubling)
  @MqttEvent('plants/+plant')
  record(@Payload() value: unknown, @TopicParam('plant') plant: string, @Ctx() context: MqttContext): void {
    calls.push(['record', value, plant, context instanceof MqttContext]);
  }

  @MqttMessage('rows/+row')
  row(@TopicParam('row', ParseIntPipe) row: number): number {
    return row;
  }
}

@Controller({ scope: Scope.REQUEST })
class PerMessage {
  readonly #seen: unknown[] = [];

  @MqttEvent('scoped')
  record(@Payload() value: unknown): void {
    this.#seen.push(value);
    calls.push(this.#seen);
  }

  @MqttMessage('scoped/answer')
  answer(): number {
    this.#seen.push(1);
    return this.#seen.length;
  }
}

onEveryBroker((broker) => {
  it('runs guards, interceptors, pipes and parameter decorators around handlers', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Pipeline] });

    await service.client.publish('plants/unknown', 1, { qos: 1 });
    await service.client.publish('plants/known', 2, { qos: 1 });

    await expectEventually(() => calls, [['before', 'plants/known'], ['record', 4, 'known', true], 'after']);
    expect(service.log.of('error', 'MqttServer')).toEqual([
      expect.stringMatching(/^handler of "plants\/\+plant" failed on "plants\/unknown": Forbidden resource; it is /),
    ]);
  });

  it('answers with what interceptors make of it', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [Pipeline] });

    await expect(service.client.request('rows/41', null)).resolves.toBe(42);
    await expect(service.client.request('rows/x', null)).rejects.toMatchObject({
      code: 'MQTT_REMOTE_ERROR',
      response: { status: 'error' },
    });
  });

  it('makes request-scoped controllers for each message', async () => {
    calls = [];
    await using service = await startMicroservice(broker, { controllers: [PerMessage] });

    await service.client.publish('scoped', 1, { qos: 1 });
    await service.client.publish('scoped', 2, { qos: 1 });

    await expectEventually(() => calls, [[1], [2]]);
    await expect(service.client.request('scoped/answer', null)).resolves.toBe(1);
    await expect(service.client.request('scoped/answer', null)).resolves.toBe(1);
  });
});
