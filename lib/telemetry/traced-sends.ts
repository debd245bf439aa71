import type { EventLoop } from '../eventloop/event-loop.js';
import type { Delivery, IncomingMessage, PublishOptions, PublishResult } from '../eventloop/messages.js';
import type { MqttTracing } from '../interfaces/tracing.interface.js';
import type { ReplyTarget } from '../serialization/incoming.js';
import type { EncodedReply } from '../serialization/reply.js';
import { tracedPublish } from './traced.js';

/** What the server sends on behalf of a message, within spans. @internal */
export class TracedSends {
  readonly #tracing: MqttTracing;
  readonly #loop: EventLoop;

  constructor(tracing: MqttTracing, loop: EventLoop) {
    this.#tracing = tracing;
    this.#loop = loop;
  }

  reply({ topic, request }: ReplyTarget, { payload, options }: EncodedReply): Promise<Delivery> {
    const loop = this.#loop;
    return tracedPublish(
      this.#tracing,
      { kind: 'reply', topic, cause: request, loop },
      options,
      (traced) => loop.enqueue(topic, payload, traced),
      ({ completed }) => completed,
    );
  }

  /** @param pattern - of the handler that failed */
  deadLetter(
    message: IncomingMessage,
    pattern: string,
    topic: string,
    payload: Uint8Array | string,
    options: PublishOptions,
  ): Promise<PublishResult> {
    const loop = this.#loop;
    return this.#tracing.send({ kind: 'dead-letter', topic, cause: message, pattern, loop }, (context) => {
      const { properties } = options;
      // The context that came with the message is among its user properties, which the letter keeps: the newer one wins.
      const userProperties = { ...properties?.userProperties, ...context };
      return loop.publish(topic, payload, { ...options, properties: { ...properties, userProperties } });
    });
  }
}
