import { Buffer } from 'node:buffer';
import type { IncomingMessage, IncomingProperties, QoS } from '../messages.js';
import type { ListNode } from '../admission/linked-list.js';

const NO_PAYLOAD = Buffer.alloc(0);

/** Whoever acknowledges received messages. @internal */
export interface MessageOwner {
  acknowledge(message: ReceivedMessage, reasonCode: number): boolean;
  leave(message: ReceivedMessage): boolean;
}

/** @internal */
export class ReceivedMessage implements IncomingMessage, ListNode<ReceivedMessage> {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly dup: boolean;
  readonly properties: IncomingProperties | undefined;
  /** The connection that waits for its acknowledgement; 0 for none. */
  epoch: number;
  /** Reason of the acknowledgement once it may leave. */
  reasonCode: number | undefined = undefined;
  /** The broker is to send it again: it is not acknowledged any more. */
  isLeft = false;
  inLedger = false;
  previous: ReceivedMessage | undefined = undefined;
  next: ReceivedMessage | undefined = undefined;
  readonly #owner: MessageOwner;
  readonly #id: number;

  /**
   * @param flags - of the first byte of its PUBLISH
   * @param id - 0 for QoS 0
   */
  constructor(
    flags: number,
    id: number,
    topic: string,
    payload: Buffer,
    properties: IncomingProperties | undefined,
    owner: MessageOwner,
    epoch: number,
  ) {
    this.topic = topic;
    this.payload = payload;
    this.qos = ((flags >> 1) & 3) as QoS;
    this.retain = (flags & 1) === 1;
    this.dup = (flags & 8) !== 0;
    this.properties = properties;
    this.#id = id;
    this.#owner = owner;
    this.epoch = epoch;
  }

  get id(): number {
    return this.#id;
  }

  acknowledge(reasonCode = 0): boolean {
    return this.#owner.acknowledge(this, reasonCode);
  }

  leave(): boolean {
    return this.#owner.leave(this);
  }

  /** What has to be remembered once it is acknowledged, without the payload: that may be much for long. */
  remnant(): ReceivedMessage {
    const flags = (this.qos << 1) | (this.retain ? 1 : 0) | (this.dup ? 8 : 0);
    const remnant = new ReceivedMessage(flags, this.#id, this.topic, NO_PAYLOAD, undefined, this.#owner, this.epoch);
    remnant.reasonCode = this.reasonCode;
    return remnant;
  }
}
