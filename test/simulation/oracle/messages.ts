import type { Message } from '../broker-session.js';
import type { Report } from './report.js';

interface MessageRecord {
  readonly message: Message;
  readonly generation: number;
  /** Links on which the application got it. */
  readonly deliveries: number[];
  /** The application is done with it: acknowledged by hand, handler settled, or handler failed. */
  done: boolean;
  acknowledged: boolean;
  /** Its handler failed: it was refused. */
  failed: boolean;
}

/** Messages for the application: each QoS 1 at least once, each QoS 2 once, acknowledged when they have been handled. */
export class MessageOracle {
  readonly #records = new Map<string, MessageRecord>();
  readonly #mode: 'on-receive' | 'after-handler' | 'manual';
  readonly #report: Report;

  constructor(mode: 'on-receive' | 'after-handler' | 'manual', report: Report) {
    this.#mode = mode;
    this.#report = report;
  }

  get count(): number {
    return this.#records.size;
  }

  queued(message: Message, generation: number): void {
    this.#records.set(message.key, {
      message,
      generation,
      deliveries: [],
      done: false,
      acknowledged: false,
      failed: false,
    });
  }

  /** The application has it. */
  delivered(key: string, link: number): void {
    const record = this.#records.get(key);
    if (record === undefined)
      return this.#report('only what was sent', `the application got ${key}, which nobody sent`);
    const { deliveries, message } = record;
    // A refusal whose PUBREC got lost leaves no trace with either side: the message comes again.
    const mayRepeat = message.qos === 1 || (message.qos === 2 && record.failed);
    const isTwice = deliveries.length > 0 && (!mayRepeat || deliveries.includes(link));
    if (isTwice)
      this.#report('messages are delivered once', `${key} (QoS ${message.qos}) reached the application again`);
    deliveries.push(link);
  }

  done(key: string): void {
    this.#records.get(key)!.done = true;
  }

  failed(key: string): void {
    this.#records.get(key)!.failed = true;
  }

  /** The client acknowledges it on the wire. */
  acknowledging(key: string): void {
    const record = this.#records.get(key);
    if (record === undefined) return;
    const mayAcknowledge = this.#mode === 'on-receive' || record.done;
    if (!mayAcknowledge) {
      this.#report('acknowledged when handled', `${key} is acknowledged, and its handler has not settled`);
    }
  }

  acknowledged(message: Message): void {
    const record = this.#records.get(message.key);
    if (record === undefined) return;
    record.acknowledged = true;
  }

  /** Everything has come to rest. */
  checkAtRest(generations: ReadonlySet<number>): void {
    for (const { message, generation, deliveries, acknowledged } of this.#records.values()) {
      const { key, qos } = message;
      if (qos === 0) continue;
      if (acknowledged && deliveries.length === 0) {
        this.#report('no message is lost', `${key} (QoS ${qos}) was acknowledged and never delivered`);
      }
      if (!acknowledged && generations.has(generation)) {
        this.#report('no message is lost', `${key} (QoS ${qos}) waits at the broker for ever`);
      }
    }
  }
}
