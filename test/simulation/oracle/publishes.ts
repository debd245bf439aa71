import type { MqttError } from '../../../lib/eventloop/errors.js';
import type { SimulationClock } from '../clock.js';
import type { ClientOptions, QoS } from '../program.js';
import type { Report } from './report.js';

const LARGEST_HEADER_BYTES = 30;

/** What may make the client give a publish up. */
export interface Circumstances {
  /** A broker has announced limits. */
  limited: boolean;
  /** `shutdown` was called, or the loop has closed. */
  closing: boolean;
}

export interface PublishRecord {
  readonly key: string;
  readonly topic: string;
  readonly bytes: number;
  /** In the order of the calls. */
  readonly order: number;
  readonly qos: QoS;
  readonly offeredAtMs: number;
  readonly timeoutMs: number | undefined;
  /** The caller's signal has been aborted. */
  aborted: boolean;
  /** Offered after the end began. */
  readonly isLate: boolean;
  outcome: 'open' | 'succeeded' | 'failed';
  /** The client said that the broker has never seen it. */
  notSent: boolean;
  writes: number;
  /** Sessions of the broker in which it was passed on to subscribers. */
  readonly arrivals: number[];
  refused: boolean;
  /** Its PUBREL has reached the broker. */
  released: boolean;
}

/**
 * Nothing accepted is lost, or its owner was told; QoS 2 arrives once; what has completed is never sent again; a failure has a
 * reason that was there.
 */
export class PublishOracle {
  readonly records = new Map<string, PublishRecord>();
  readonly circumstances: Circumstances = { limited: false, closing: false };
  readonly #clock: SimulationClock;
  readonly #options: ClientOptions;
  readonly #report: Report;
  #lastFirstWrite = -1;
  /** Accepted before the end, and ended by it. */
  readonly #cutShort: string[] = [];
  readonly #open = new Set<PublishRecord>();
  readonly #limited = new Set<PublishRecord>();

  constructor(clock: SimulationClock, options: ClientOptions, report: Report) {
    this.#clock = clock;
    this.#options = options;
    this.#report = report;
  }

  get isSettled(): boolean {
    return this.#open.size === 0;
  }

  get open(): readonly string[] {
    return Array.from(this.#open, ({ key }) => key);
  }

  offered(key: string, topic: string, bytes: number, qos: QoS, timeoutMs?: number): PublishRecord {
    const record: PublishRecord = {
      key,
      topic,
      bytes,
      order: this.records.size,
      qos,
      offeredAtMs: this.#clock.nowMs,
      timeoutMs,
      aborted: false,
      isLate: this.circumstances.closing,
      outcome: 'open',
      notSent: false,
      writes: 0,
      arrivals: [],
      refused: false,
      released: false,
    };
    this.records.set(key, record);
    this.#open.add(record);
    if (timeoutMs !== undefined) this.#limited.add(record);
    return record;
  }

  /** The queue had no room and said so: it was never accepted. */
  turnedAway(record: PublishRecord): void {
    record.outcome = 'failed';
    record.notSent = true;
    this.#open.delete(record);
  }

  succeeded(record: PublishRecord): void {
    this.#settle(record, 'succeeded');
    const { key, qos } = record;
    if (qos === 0 && record.writes === 0) this.#report('no success without sending', `${key} was never written`);
    if (qos > 0 && record.arrivals.length === 0) {
      this.#report('nothing accepted is lost', `${key} (QoS ${qos}) succeeded, and the broker has never had it`);
    }
  }

  failed(record: PublishRecord, error: MqttError & { readonly delivery?: string }): void {
    this.#settle(record, 'failed');
    const { key } = record;
    if (!this.#hasReason(record, error)) {
      this.#report(
        'a failure has a reason',
        `${key} (QoS ${record.qos}) failed without need: ${error.code} ${error.message}`,
      );
    }
    if (error.code === 'MQTT_CLOSED' && !record.isLate) this.#cutShort.push(key);
    record.notSent = error.delivery === 'not-sent';
    if (record.notSent && record.writes > 0) {
      this.#report(
        'failures tell what was sent',
        `${key} failed as "not-sent" (${error.code}), and was written ${record.writes} times`,
      );
    }
  }

  /** The client writes it. @returns undefined for a publish that nobody made */
  written(key: string, dup: boolean): PublishRecord | undefined {
    const record = this.records.get(key);
    if (record === undefined) {
      this.#report('only what was asked for', `a publish ${key} that nobody made`);
      return undefined;
    }
    record.writes++;
    if (record.notSent) this.#report('failures tell what was sent', `${key} is written after it failed as "not-sent"`);
    if (record.outcome === 'succeeded')
      this.#report('complete is complete', `${key} is written again after it succeeded`);
    if (record.refused)
      this.#report('complete is complete', `${key} is written again after the broker's refusal arrived`);
    if (dup && record.writes === 1) this.#report('DUP marks repetitions', `${key} is written with DUP the first time`);
    if (record.writes === 1) {
      if (record.order < this.#lastFirstWrite) {
        this.#report('send order is kept', `${key} leaves for the first time after one that was published later`);
      }
      this.#lastFirstWrite = record.order;
    }
    return record;
  }

  /** A broker reads it, whatever it makes of it. */
  published(key: string, topic: string): void {
    const expected = this.records.get(key)?.topic;
    if (topic !== expected)
      this.#report('topics are what was asked for', `${key} reaches the broker as "${topic}", not as "${expected}"`);
  }

  arrived(key: string, generation: number): void {
    const record = this.records.get(key);
    if (record === undefined) return;
    if (record.qos === 2) {
      if (record.arrivals.includes(generation)) {
        this.#report('QoS 2 arrives once', `${key} was passed on twice in one session`);
      }
      if (record.released) this.#report('QoS 2 arrives once', `${key} was published again after its PUBREL`);
    }
    record.arrivals.push(generation);
  }

  released(key: string): void {
    const record = this.records.get(key);
    if (record !== undefined) record.released = true;
  }

  /** The refusal has reached the client. */
  refusalReceived(key: string): void {
    const record = this.records.get(key);
    if (record !== undefined) record.refused = true;
  }

  /** The loop says that all it had accepted has completed. */
  drained(): void {
    if (this.#cutShort.length > 0)
      this.#report('drained means all', `${this.#cutShort.join(', ')} had been accepted and did not complete`);
  }

  /** Time limits end when they say. */
  checkTimeouts(): void {
    for (const record of this.#limited) {
      const { key, timeoutMs, offeredAtMs } = record;
      if (record.outcome !== 'open') this.#limited.delete(record);
      else if (this.#clock.nowMs > offeredAtMs + timeoutMs! + 0.001) {
        this.#report('every promise settles', `${key} is open after its timeoutMs of ${timeoutMs}`);
      }
    }
  }

  #settle(record: PublishRecord, outcome: 'succeeded' | 'failed'): void {
    if (record.outcome !== 'open') this.#report('promises settle once', `${record.key} settled again: ${outcome}`);
    record.outcome = outcome;
    this.#open.delete(record);
  }

  #hasReason(record: PublishRecord, { code }: MqttError): boolean {
    const { overflow } = this.#options;
    switch (code) {
      case 'MQTT_PUBLISH_REFUSED':
        return record.refused;
      case 'MQTT_TIMEOUT':
        return record.timeoutMs !== undefined && this.#clock.nowMs >= record.offeredAtMs + record.timeoutMs - 0.001;
      case 'MQTT_ABORTED':
        return record.aborted;
      case 'MQTT_MESSAGE_DROPPED':
        return overflow === 'drop-oldest' || overflow === 'drop-newest';
      case 'MQTT_QUEUE_FULL':
        return overflow === 'reject' || overflow === 'wait';
      case 'MQTT_NOT_SUPPORTED_BY_SERVER':
      case 'MQTT_PACKET_TOO_LARGE':
        return this.circumstances.limited || record.bytes > this.#options.requestCapacityBytes - LARGEST_HEADER_BYTES;
      case 'MQTT_CLOSED':
        return this.circumstances.closing;
      case 'MQTT_CONNECTION_LOST':
        return record.qos === 0;
      default:
        return false;
    }
  }
}
