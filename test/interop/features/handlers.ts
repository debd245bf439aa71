import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { MqttEvent, MqttMessage, type MqttModuleOptions } from 'nestjs-rumqtt';
import { range, type Observable } from 'rxjs';
import { expect, onTestFinished } from 'vitest';
import { expectEventually, startMicroservice, type TestApp, type TestAppSetup } from '../../e2e/nest/support.js';
import { Nats } from '../../fixtures/nats.js';
import type { Visit } from '../visit.js';
import type { Feature } from './feature.js';
import { ACK_WAIT_SECONDS } from './sessions.js';

/** A running service that ends with the test. */
async function service(visit: Visit, controller: TestAppSetup['controllers'], options: MqttModuleOptions) {
  const { protocolVersion } = visit.broker;
  const app: TestApp = await startMicroservice(
    { url: visit.running.url, protocolVersion: 4, copies: 'one' },
    { controllers: controller!, options: { protocolVersion, ...options } },
  );
  onTestFinished(() => app[Symbol.asyncDispose]());
  return app;
}

export const handlers = {
  requests: {
    row: 'Requests and replies of Nest services',
    cells: { yes: 'work' },
    async assertStated(visit) {
      @Controller()
      class Sums {
        @MqttMessage(visit.topic('sums/+'))
        sum(@Payload() numbers: number[]): number {
          return numbers.reduce((total, number) => total + number, 0);
        }

        @MqttMessage(visit.topic('count'))
        count(@Payload() to: number): Observable<number> {
          return range(1, to);
        }
      }
      const { client: own } = await service(visit, [Sums], {});
      const { client } = await service(visit, [], {});
      await expect(own.request(visit.topic('sums/own'), [1, 2])).resolves.toBe(3);
      const sums = Array.from({ length: 50 }, (_, index) => client.request(visit.topic(`sums/${index}`), [index, 1]));
      expect(await Promise.all(sums)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
      const streamed: unknown[] = [];
      await new Promise<void>((resolve, reject) => {
        client.send(visit.topic('count'), 3).subscribe({
          next: (value) => streamed.push(value),
          error: reject,
          complete: resolve,
        });
      });
      expect(streamed).toEqual([1, 2, 3]);
    },
  },

  redeliveryToHandlers: {
    row: 'A handler whose connection breaks before it has succeeded',
    cells: {
      yes: 'runs again on the next connection, and not once more after it has succeeded',
      ackWait: 'runs again after `ack_wait`, and not once more after it has succeeded',
    },
    async assertStated(visit, stated) {
      await using impatient = stated === 'ackWait' ? await Nats.start({ ackWaitSeconds: ACK_WAIT_SECONDS }) : undefined;
      const { url } = impatient ?? visit.running;
      const runs: string[] = [];
      @Controller()
      class Work {
        @MqttEvent(visit.topic('work'), { qos: 1 })
        async work(@Payload() text: string): Promise<void> {
          runs.push(text);
          // The first run never succeeds.
          if (runs.length === 1) await new Promise(() => undefined);
        }
      }
      const proxy = await visit.proxy(impatient);
      const { server } = await service(visit, [Work], {
        url: proxy.url,
        clientId: visit.prefix,
        clean: false,
        drainTimeoutMs: 0,
      });
      const publisher = await visit.connect({ url });
      const publish = (text: string) => publisher.publish(visit.topic('work'), JSON.stringify(text), { qos: 1 });
      await publish('x');
      await expectEventually(() => runs, ['x']);
      proxy.cut();
      await expectEventually(() => runs, ['x', 'x']);
      await publish('then');
      await expectEventually(() => runs, ['x', 'x', 'then']);
      // Behind the acknowledgement of the second run.
      await server.unwrap().publish(visit.topic('other'), 'x', { qos: 1 });
      proxy.cut();
      await publish('end');
      await expectEventually(() => runs.includes('end'), true);
      expect(runs.filter((run) => run === 'x')).toHaveLength(2);
    },
  },
} satisfies Record<string, Feature>;
