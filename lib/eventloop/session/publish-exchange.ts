import { Admission, type QueuedRequest } from '../admission/request-queue.js';
import type { ReceivedProperties } from '../codec/property-reader.js';
import { REFUSED, reasonText } from '../codec/reason-codes.js';
import { publishPacketBytes, type PublishToWrite } from '../codec/writer.js';
import { MqttRefusedError, type DeliveryState, type MqttError } from '../errors.js';
import type { Delivery, PublishResult, QoS } from '../messages.js';
import type { Counters } from './counters.js';
import { fail, fulfil, promiseOf, type Limit, type Operation } from './operation.js';

/** What a publish without anything further resolves with. @internal */
export const DONE: Readonly<Record<QoS, PublishResult>> = { 0: done(0), 1: done(1), 2: done(2) };

function done(qos: QoS): PublishResult {
  // A promise looks for a `then` in what it is resolved with. To find it undefined at once is quicker than to find it nowhere.
  // oxlint-disable-next-line unicorn/no-thenable -- it is not one
  return Object.freeze(Object.defineProperty({ qos, reasonCode: 0 }, 'then', { value: undefined }));
}

/** Something that happens when the queue takes a publish. @internal */
export type OnAdmitted = (delivery: Delivery) => void;

/** One publish from the call to its last acknowledgement. @internal */
export class PublishExchange
  implements Operation<PublishResult>, QueuedRequest<PublishExchange>, PublishToWrite, Delivery
{
  settled = false;
  result: PublishResult | undefined;
  error: MqttError | undefined;
  promise: Promise<PublishResult> | undefined;
  resolve: ((result: PublishResult) => void) | undefined;
  reject: ((error: MqttError) => void) | undefined;
  limit: Limit | undefined;
  previous: PublishExchange | undefined;
  next: PublishExchange | undefined;
  admission: Admission = Admission.Outside;
  onAdmitted: OnAdmitted | undefined;
  /** Size of the whole packet on MQTT 5, which is the larger one. */
  readonly bytes: number;
  /** 0 while it has none. */
  id = 0;
  /** QoS 2: PUBREC came, PUBCOMP has not. */
  isReleased = false;
  /** The connection on which it was last sent; 0 when it never was. */
  epoch = 0;
  readonly #counters: Counters;

  constructor(
    readonly topic: string,
    readonly topicBytes: Buffer,
    readonly payload: Buffer,
    readonly qos: QoS,
    readonly retain: boolean,
    readonly encodedProperties: Buffer | undefined,
    counters: Counters,
  ) {
    this.#counters = counters;
    this.bytes = publishPacketBytes(this, 5);
  }

  get description(): string {
    return `publish to "${this.topic}"`;
  }

  get delivery(): DeliveryState {
    return this.epoch === 0 ? 'not-sent' : 'unknown';
  }

  get completed(): Promise<PublishResult> {
    return promiseOf(this);
  }

  admitted(): void {
    this.onAdmitted?.(this);
  }

  succeed(result: PublishResult): void {
    if (fulfil(this, result)) this.#counters.publishesCompleted++;
  }

  fail(error: MqttError): void {
    if (fail(this, error)) this.#counters.publishesFailed++;
  }

  succeedPlainly(): void {
    this.succeed(DONE[this.qos]);
  }

  /** The last acknowledgement came. */
  complete(reasonCode: number, properties: ReceivedProperties | undefined): void {
    if (reasonCode >= REFUSED) {
      const reason = reasonText(reasonCode, properties?.reasonString);
      this.fail(new MqttRefusedError('publish', this.topic, reasonCode, reason));
    } else if (reasonCode === 0 && properties === undefined) this.succeedPlainly();
    else this.succeed(resultOf(this.qos, reasonCode, properties));
  }
}

function resultOf(qos: QoS, reasonCode: number, properties: ReceivedProperties | undefined): PublishResult {
  const { reasonString, userProperties } = properties ?? {};
  return {
    qos,
    reasonCode,
    ...(reasonString === undefined ? {} : { reasonString }),
    ...(userProperties === undefined ? {} : { userProperties }),
  };
}
