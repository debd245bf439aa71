import type { WritePacket } from '@nestjs/microservices';
import { Subject, takeUntil, type Observable } from 'rxjs';
import { MqttArgumentError, MqttPacketTooLargeError } from '../eventloop/errors.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { describeError } from '../mqtt.errors.js';
import type { ReplyTarget } from '../serialization/incoming.js';
import { encodeReply } from '../serialization/reply.js';
import type { TracedSends } from '../telemetry/traced-sends.js';

/** An observable cannot be slowed down: one that runs so far ahead of the broker is stopped. */
const mostQueuedReplies = 10_000;

/** A reply that could not be sent as it was. @internal */
export type ReplyFailure = (target: ReplyTarget, error: unknown) => void;

/** Publishes replies in order. Its promises resolve when the event loop has taken the last one. @internal */
export class ReplyPublisher {
  readonly #loop: Pick<EventLoop, 'enqueue'>;
  readonly #failed: ReplyFailure;
  readonly #traced: TracedSends | undefined;

  constructor(loop: Pick<EventLoop, 'enqueue'>, failed: ReplyFailure, traced?: TracedSends) {
    this.#loop = loop;
    this.#failed = failed;
    this.#traced = traced;
  }

  /** Never rejects: a reply that cannot be sent is reported, and the requester is told if that is possible. */
  async send(target: ReplyTarget, packet: WritePacket): Promise<void> {
    try {
      const reply = encodeReply(target, packet);
      const delivery = await (this.#traced?.reply(target, reply) ??
        this.#loop.enqueue(target.topic, reply.payload, reply.options));
      delivery.completed.catch((error: unknown) => this.#explain(target, packet, error));
    } catch (error) {
      await this.#explain(target, packet, error);
    }
  }

  /** Every value as it comes; the error or the end comes last, with the last value where that has not left yet. */
  stream(target: ReplyTarget, source: Observable<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const queue: WritePacket[] = [];
      const stop = new Subject<void>();
      let isPumping = false;
      let isFinished = false;
      const pump = async (): Promise<void> => {
        for (let packet = queue.shift(); packet !== undefined; packet = queue.shift()) await this.send(target, packet);
        isPumping = false;
        if (isFinished) resolve();
      };
      const push = (packet: WritePacket): void => {
        queue.push(packet);
        if (isPumping) return;
        isPumping = true;
        // Later, so that a source that completes at once needs one message.
        queueMicrotask(() => void pump());
      };
      const finish = (packet: WritePacket): void => {
        if (isFinished) return;
        isFinished = true;
        push(packet);
      };
      source.pipe(takeUntil(stop)).subscribe({
        next: (response) => {
          if (queue.length < mostQueuedReplies) return push({ response });
          finish({
            err: { status: 'error', message: 'the stream is faster than its replies can be sent' },
            isDisposed: true,
          });
          stop.next();
        },
        error: (err: unknown) => finish({ err, isDisposed: true }),
        complete: () => {
          const last = queue.at(-1);
          if (isFinished || last === undefined) return finish({ isDisposed: true });
          last.isDisposed = true;
          isFinished = true;
        },
      });
    });
  }

  async #explain(target: ReplyTarget, packet: WritePacket, error: unknown): Promise<void> {
    this.#failed(target, error);
    // The loop is closed or full: no other reply would fare better.
    const isValueToBlame = error instanceof MqttPacketTooLargeError || error instanceof MqttArgumentError;
    if (packet.err !== undefined || !isValueToBlame) return;
    await this.send(target, { err: { status: 'error', message: describeError(error) }, isDisposed: true });
  }
}
