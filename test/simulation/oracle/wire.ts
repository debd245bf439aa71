import { ProtocolChecker } from '../../../lib/testing/protocol-checker.js';
import type { ReceivedPacket } from '../../../lib/testing/packets.js';
import type { Link } from '../network.js';
import { encode, keyOf, type WirePacket } from '../packets.js';
import type { ClientOptions } from '../program.js';
import type { MessageOracle } from './messages.js';
import type { PublishOracle, PublishRecord } from './publishes.js';
import type { Report } from './report.js';
import type { SubscriptionOracle } from './subscriptions.js';
import type { ThrottleOracle } from './throttle.js';

const RESEND_ORDER = 'MQTT-4.6.0-1';

/** What outlives a connection. */
export class WireMemory {
  readonly checkers = new Map<string, ProtocolChecker>();
  /** The order of the PUBRECs whose exchange is not complete. */
  readonly releases = new Map<number, number>();
  pubrecs = 0;
}

/** Whom the wire tells what passes. */
export interface WireListeners {
  readonly publishes: PublishOracle;
  readonly messages: MessageOracle;
  readonly subscriptions: SubscriptionOracle;
  readonly throttle: ThrottleOracle;
}

/**
 * What the client writes on one connection, and what has reached it: order, window, acknowledgements in order of receipt and on
 * the connection that brought the message, DISCONNECT last, and every rule of the specification that the test kit's protocol
 * checker knows.
 */
export class WireOracle {
  sessionPresent = false;
  isAccepted = false;
  /** The client is done with it: what it still reads it reads only to close in order. */
  isOver = false;
  readonly #link: Link;
  readonly #options: ClientOptions;
  readonly #listeners: WireListeners;
  readonly #report: Report;
  readonly #checker: ProtocolChecker;
  /** Publishes that are neither acknowledged nor refused, by packet identifier. */
  readonly #unacknowledged = new Map<number, PublishRecord>();
  readonly #received: { readonly id: number; readonly cmd: 'puback' | 'pubrec'; readonly key: string }[] = [];
  readonly #pubrels: number[] = [];
  readonly #pubrecs = new Set<number>();
  readonly #memory: WireMemory;
  readonly #pubrelsSent = new Set<number>();
  #lastRelease = -1;
  #window = Infinity;
  #lastOrder = -1;
  #last: string | undefined;

  constructor(link: Link, memory: WireMemory, options: ClientOptions, listeners: WireListeners, report: Report) {
    this.#link = link;
    this.#memory = memory;
    this.#options = options;
    this.#listeners = listeners;
    this.#report = report;
    this.#checker = new ProtocolChecker(memory.checkers, (rule, problem) => {
      // What the present server cannot take has failed and is not resent; the order of the others is checked here, too.
      const isExcused = rule === RESEND_ORDER && listeners.publishes.circumstances.limited;
      if (!isExcused) report(`specification ${rule}`, problem);
    });
  }

  sent(packet: WirePacket): void {
    this.#checker.received(packet as unknown as ReceivedPacket);
    this.#last = packet.cmd;
    switch (packet.cmd) {
      case 'connect':
        return this.#listeners.subscriptions.connecting();
      case 'publish':
        return this.#publish(packet);
      case 'puback':
      case 'pubrec': {
        // A loop that closes takes no new messages, and goes on to acknowledge what it has.
        while (this.#listeners.publishes.circumstances.closing && this.#received[0] !== undefined) {
          if (this.#received[0].id === packet.messageId) break;
          this.#received.shift();
        }
        const due = this.#received.shift();
        if (due?.id !== packet.messageId || due?.cmd !== packet.cmd) {
          const expected = due === undefined ? 'nothing' : `${due.cmd} ${due.id}`;
          return this.#report(
            'acknowledged in order of receipt',
            `${packet.cmd} ${packet.messageId}, where ${expected} is due`,
          );
        }
        return this.#listeners.messages.acknowledging(due.key);
      }
      case 'pubcomp': {
        const due = this.#pubrels.shift();
        if (due === packet.messageId) return undefined;
        return this.#report(
          'acknowledged in order of receipt',
          `pubcomp ${packet.messageId}, where ${due ?? 'nothing'} is due`,
        );
      }
      case 'pubrel':
        // One that answers a PUBREC is an acknowledgement, any other is a resend.
        if (!this.#pubrecs.delete(packet.messageId!)) this.#throttled(packet);
        return this.#pubrel(packet.messageId!);
      case 'subscribe':
        this.#listeners.subscriptions.subscribing(
          packet.messageId!,
          packet.subscriptions.map(({ topic }) => topic),
        );
        return this.#throttled(packet);
      case 'unsubscribe':
        return this.#throttled(packet);
      default:
        return undefined;
    }
  }

  #throttled(packet: WirePacket): void {
    this.#listeners.throttle.sent(`${packet.cmd} ${packet.messageId ?? ''}`, packet.raw!.length);
  }

  /** PUBRELs leave in the order of the PUBRECs, on the next connection as well [MQTT-4.6.0-4]. */
  #pubrel(id: number): void {
    const order = this.#memory.releases.get(id);
    if (order === undefined || this.#pubrelsSent.has(id)) return;
    this.#pubrelsSent.add(id);
    if (order < this.#lastRelease)
      this.#report('send order is kept', `PUBREL ${id} leaves after one whose PUBREC came later`);
    this.#lastRelease = order;
  }

  #publish(packet: Extract<WirePacket, { cmd: 'publish' }>): void {
    const key = keyOf(packet.payload);
    this.#throttled(packet);
    this.#listeners.subscriptions.publishing(key);
    const record = this.#listeners.publishes.written(key, packet.dup);
    if (record === undefined || packet.qos === 0) return;
    if (record.order <= this.#lastOrder)
      this.#report('send order is kept', `${key} leaves after one that was published later`);
    this.#lastOrder = record.order;
    this.#memory.releases.delete(packet.messageId!);
    this.#unacknowledged.set(packet.messageId!, record);
    if (this.#unacknowledged.size > this.#window) {
      this.#report(
        'the window is never exceeded',
        `${this.#unacknowledged.size} unacknowledged, ${this.#window} allowed`,
      );
    }
  }

  received(packet: WirePacket): void {
    if (this.isOver || this.#last === 'disconnect') return;
    this.#checker.sent(encode(packet, this.#link.version));
    const id = packet.messageId!;
    const record = this.#unacknowledged.get(id);
    switch (packet.cmd) {
      case 'connack': {
        this.isAccepted = (packet.reasonCode ?? packet.returnCode ?? 0) === 0;
        if (!this.isAccepted) return this.#listeners.subscriptions.refused();
        this.sessionPresent = packet.sessionPresent;
        if (!packet.sessionPresent) this.#memory.releases.clear();
        this.#window = Math.min(this.#options.inflight, packet.properties?.receiveMaximum ?? Infinity);
        return this.#listeners.subscriptions.connected(packet.sessionPresent);
      }
      case 'publish':
        if (packet.qos === 0) return;
        return void this.#received.push({
          id,
          cmd: packet.qos === 1 ? 'puback' : 'pubrec',
          key: keyOf(packet.payload),
        });
      case 'pubrel':
        return void this.#pubrels.push(id);
      case 'pubrec':
        this.#pubrecs.add(id);
        if ((packet.reasonCode ?? 0) >= 0x80) this.#refused(id, record);
        else if (record?.qos === 2 && !this.#memory.releases.has(id))
          this.#memory.releases.set(id, this.#memory.pubrecs++);
        return;
      case 'puback':
        if ((packet.reasonCode ?? 0) >= 0x80) return this.#refused(id, record);
        if (record?.qos === 1) this.#unacknowledged.delete(id);
        return;
      case 'pubcomp':
        this.#memory.releases.delete(id);
        if (record?.qos === 2) this.#unacknowledged.delete(id);
        return;
      case 'suback':
        return this.#listeners.subscriptions.suback(id);
      default:
        return;
    }
  }

  #refused(id: number, record: PublishRecord | undefined): void {
    this.#unacknowledged.delete(id);
    if (record !== undefined) this.#listeners.publishes.refusalReceived(record.key);
  }

  /** The client closes on purpose. */
  ended(withWill: boolean): void {
    if (this.isAccepted && this.#last !== 'disconnect' && !withWill) {
      this.#report('DISCONNECT is last', `the client closes the connection after ${this.#last}`);
    }
  }
}
