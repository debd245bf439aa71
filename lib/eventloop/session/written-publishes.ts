import type { RequestQueue } from '../admission/request-queue.js';
import type { MqttError } from '../errors.js';
import type { PublishResult } from '../messages.js';
import type { Counters } from './counters.js';
import { DONE, PublishExchange } from './publish-exchange.js';

/** A publish at QoS 0 that is a topic and a payload. @internal */
export interface PlainPublish {
  readonly topic: string;
  readonly topicBytes: Buffer;
  readonly payload: Buffer;
  readonly retain: boolean;
  /** The size of the packet, at most. */
  readonly bytes: number;
}

/**
 * The QoS 0 publishes of one write, which are complete when it is. Plain ones did not come from the queue and have no exchange: the
 * promise of each follows the one of the write (docs/decisions/qos-0-at-once.md).
 *
 * @internal
 */
export class WrittenPublishes {
  readonly #counters: Counters;
  readonly #queued: PublishExchange[] = [];
  readonly #plain: PlainPublish[] = [];
  /** Of the plain ones. */
  #completed: Promise<PublishResult> | undefined;
  #resolve!: (result: PublishResult) => void;
  #reject!: (error?: MqttError) => void;
  /** The plain ones after they were taken back, the next to be told of first. */
  #takenBack: Iterator<PublishExchange> | undefined;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  get size(): number {
    return this.#queued.length + this.#plain.length;
  }

  /** One that came from the queue. */
  add(exchange: PublishExchange): void {
    this.#queued.push(exchange);
  }

  /** One that did not. */
  addPlain(publish: PlainPublish): Promise<PublishResult> {
    this.#plain.push(publish);
    const completed = this.#completed ?? this.#begin();
    return completed.then(undefined, this.#rejected);
  }

  #begin(): Promise<PublishResult> {
    return (this.#completed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    }));
  }

  complete(): void {
    for (const exchange of this.#queued) exchange.succeedPlainly();
    if (this.#completed === undefined) return;
    this.#counters.publishesCompleted += this.#plain.length;
    this.#resolve(DONE[0]);
  }

  fail(error: MqttError): void {
    for (const exchange of this.#queued) exchange.fail(error);
    if (this.#completed === undefined) return;
    this.#counters.publishesFailed += this.#plain.length;
    this.#reject(error);
  }

  /** Nothing has left: to the head of the queue with it, for the next connection. */
  takeBack(queue: RequestQueue<PublishExchange>): void {
    if (this.#completed === undefined) return;
    const exchanges = this.#plain.map(
      ({ topic, topicBytes, payload, retain }) =>
        new PublishExchange(topic, topicBytes, payload, 0, retain, undefined, this.#counters),
    );
    this.#counters.publishesSent -= exchanges.length;
    queue.takeBack(exchanges);
    this.#takenBack = exchanges.values();
    this.#reject();
  }

  /** Called for each plain one in the order in which they were added. */
  readonly #rejected = (error: MqttError): Promise<PublishResult> => {
    if (this.#takenBack === undefined) throw error;
    return this.#takenBack.next().value!.completed;
  };
}
