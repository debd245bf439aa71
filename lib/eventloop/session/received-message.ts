import { Buffer } from 'node:buffer';
import type { PublishPacket } from '../codec/decoder.js';
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

  constructor(packet: PublishPacket, owner: MessageOwner, epoch: number) {
    this.topic = packet.topic;
    this.payload = packet.payload;
    this.qos = packet.qos;
    this.retain = packet.retain;
    this.dup = packet.dup;
    this.properties = packet.properties;
    this.#id = packet.id;
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
    const { topic, qos, retain, dup } = this;
    const remnant = new ReceivedMessage(
      { topic, payload: NO_PAYLOAD, qos, retain, dup, id: this.#id, properties: undefined },
      this.#owner,
      this.epoch,
    );
    remnant.reasonCode = this.reasonCode;
    return remnant;
  }
}
