import type { ISubscription } from 'mqtt-packet';
import type { Clock, Timer } from '../eventloop/clock.js';
import type { QoS } from '../eventloop/messages.js';
import { parseSharedFilter, topicMatches } from '../eventloop/topics.js';
import { remainingProperties, toPacket, type KeptMessage } from './memory-message.js';
import type { PublishFields, ReceivedPacket } from './packets.js';
import type { ScriptedConnection } from './scripted-connection.js';

/** What became of a message on its way to one client. @publicApi */
export interface MemoryDelivery {
  readonly clientId: string;
  /** As sent: the lower one of the message's and the subscription's. */
  readonly qos: QoS;
  /** What the client answered to QoS 1 and 2; 0 for QoS 0 once it is sent. Undefined as long as there is no answer. */
  readonly reasonCode: number | undefined;
}

interface Delivery extends MemoryDelivery {
  readonly message: KeptMessage;
  readonly identifiers: readonly number[];
  reasonCode: number | undefined;
  /** QoS 2: PUBREC has come. */
  isReleased: boolean;
}

interface Subscription extends ISubscription {
  readonly identifier: number | undefined;
}

/** One client's session at a {@link MemoryBroker}: its subscriptions and what it has not acknowledged. @internal */
export class MemorySession {
  readonly clientId: string;
  readonly subscriptions = new Map<string, Subscription>();
  #connection: ScriptedConnection | undefined;
  #receiveMaximum = 65_535;
  #lastId = 0;
  readonly #sent = new Map<number, Delivery>();
  readonly #waiting: Delivery[] = [];
  /** Of QoS 2 publishes of the client that it has not released. */
  readonly #received = new Set<number>();
  readonly #clock: Clock;
  #expiresAtMs = Infinity;
  #will: { readonly publish: () => void; readonly timer: Timer } | undefined;

  constructor(clientId: string, clock: Clock) {
    this.clientId = clientId;
    this.#clock = clock;
  }

  /** Nobody has come back for it in time. */
  get isExpired(): boolean {
    return this.#connection === undefined && this.#clock.now() >= this.#expiresAtMs;
  }

  get connection(): ScriptedConnection | undefined {
    return this.#connection;
  }

  /** After CONNACK: sends again what was not acknowledged, and then what has come meanwhile. */
  attach(connection: ScriptedConnection, connect: ReceivedPacket<'connect'>): void {
    this.#connection = connection;
    this.cancelWill();
    this.#receiveMaximum = connect.properties?.receiveMaximum ?? 65_535;
    for (const [id, delivery] of this.#sent) {
      if (delivery.isReleased) connection.pubrel(id);
      else this.#transmit(connection, delivery, id, true);
    }
    this.#pump();
  }

  detach(expirySeconds: number): void {
    this.#connection = undefined;
    this.#expiresAtMs = this.#clock.now() + expirySeconds * 1_000;
  }

  /** Unless the client is back by then [MQTT-3.1.3-9]. */
  publishWillAfter(delaySeconds: number, publish: () => void): void {
    this.#will = { publish, timer: this.#clock.startTimer(() => this.end(), delaySeconds * 1_000) };
  }

  cancelWill(): void {
    this.#will?.timer.cancel();
    this.#will = undefined;
  }

  /** Of the session, or of the delay: the will does not wait any longer. */
  end(): void {
    const will = this.#will;
    this.cancelWill();
    will?.publish();
  }

  /** @returns whether the filter is new */
  subscribe(subscription: ISubscription, identifier: number | undefined): boolean {
    const isNew = !this.subscriptions.has(subscription.topic);
    this.subscriptions.set(subscription.topic, { ...subscription, identifier });
    return isNew;
  }

  /** Delivers once, whatever the number of subscriptions that match. @returns undefined if none does */
  deliverMatching(message: KeptMessage, from: MemorySession | undefined): MemoryDelivery | undefined {
    const matching = [...this.subscriptions.values()].filter(
      ({ topic, nl }) =>
        parseSharedFilter(topic) === undefined && topicMatches(topic, message.topic) && !(nl === true && from === this),
    );
    return matching.length === 0 ? undefined : this.deliver(message, matching);
  }

  /** @param isStored - a retained message that a new subscription brings */
  deliver(message: KeptMessage, by: readonly Subscription[], isStored = false): MemoryDelivery {
    const granted = Math.max(...by.map(({ qos }) => qos));
    const delivery: Delivery = {
      message: { ...message, retain: isStored || (message.retain && by.some(({ rap }) => rap === true)) },
      clientId: this.clientId,
      qos: Math.min(message.qos, granted) as QoS,
      identifiers: by.flatMap(({ identifier }) => identifier ?? []),
      reasonCode: undefined,
      isReleased: false,
    };
    this.#waiting.push(delivery);
    this.#pump();
    return delivery;
  }

  /** PUBACK, PUBREC or PUBCOMP. */
  acknowledged({ cmd, messageId, reasonCode = 0 }: ReceivedPacket<'puback' | 'pubrec' | 'pubcomp'>): void {
    const delivery = this.#sent.get(messageId);
    if (cmd === 'pubrec' && reasonCode < 0x80) {
      if (delivery !== undefined) delivery.isReleased = true;
      return this.#connection?.pubrel(messageId);
    }
    if (delivery === undefined) return;
    this.#sent.delete(messageId);
    delivery.reasonCode = reasonCode;
    this.#pump();
  }

  /** A QoS 2 publish of the client. @returns whether it is a new one */
  receive(messageId: number): boolean {
    if (this.#received.has(messageId)) return false;
    this.#received.add(messageId);
    return true;
  }

  release(messageId: number): void {
    this.#received.delete(messageId);
  }

  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    while (this.#waiting.length > 0 && (this.#waiting[0]!.qos === 0 || this.#sent.size < this.#receiveMaximum)) {
      const delivery = this.#waiting.shift()!;
      // [MQTT-3.3.2-5]
      if (this.#clock.now() >= delivery.message.expiresAtMs) continue;
      if (delivery.qos === 0) {
        this.#transmit(connection, delivery, undefined, false);
        delivery.reasonCode = 0;
      } else {
        const id = this.#nextId();
        this.#sent.set(id, delivery);
        this.#transmit(connection, delivery, id, false);
      }
    }
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId % 65_535) + 1;
    while (this.#sent.has(this.#lastId));
    return this.#lastId;
  }

  #transmit(
    connection: ScriptedConnection,
    { message, qos, identifiers }: Delivery,
    messageId: number | undefined,
    dup: boolean,
  ): void {
    const { topic, payload, retain } = message;
    const all = {
      ...toPacket(remainingProperties(message, this.#clock.now())),
      ...(identifiers.length > 0 ? { subscriptionIdentifier: identifiers as number[] } : {}),
    };
    const isBare = connection.protocolVersion !== 5 || Object.keys(all).length === 0;
    const fields: PublishFields = { topic, payload, qos, retain, dup, messageId, properties: isBare ? undefined : all };
    connection.publish(fields);
  }
}
