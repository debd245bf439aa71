import type { Packet } from 'mqtt-packet';
import type { ReportViolation } from './packet-rules.js';
import type { ReceivedPacket } from './packets.js';

type Phase =
  | 'subscribe'
  | 'unsubscribe'
  /** A PUBLISH that the broker has not answered. */
  | 'publish'
  /** QoS 2: the broker has sent PUBREC. */
  | 'pubrec'
  /** QoS 2: the client has sent PUBREL. */
  | 'pubrel';

interface Exchange {
  phase: Phase;
  readonly publish?: ReceivedPacket<'publish'>;
  /** Carried over from an earlier connection of the session. */
  readonly resumed: boolean;
}

/** Whose turn it was to be acknowledged: identifiers in the order the client has to answer them. */
class AnswersDue {
  readonly #ids: number[] = [];

  add(id: number): void {
    this.#ids.push(id);
  }

  /** @returns `late` when others should have been answered first. */
  answer(id: number): 'in order' | 'late' | 'unknown' {
    const index = this.#ids.indexOf(id);
    if (index < 0) return 'unknown';
    this.#ids.splice(index, 1);
    return index === 0 ? 'in order' : 'late';
  }
}

/**
 * The exchanges in progress on one connection, as the broker sees them: which packet identifiers are taken, how many
 * publishes are unacknowledged, which answers the client owes, and what it still has to resend in a resumed session.
 *
 * @internal
 */
export class ClientExchanges {
  /** By packet identifier, in the order in which they began. */
  readonly #open = new Map<number, Exchange>();
  /** Left over from the session's last connection and not taken up again yet. */
  readonly #owed = new Map<number, Exchange>();
  readonly #unacknowledged = new Set<number>();
  readonly #pubackDue = new AnswersDue();
  readonly #pubrecDue = new AnswersDue();
  readonly #pubrelDue = new AnswersDue();
  readonly #pubcompDue = new AnswersDue();
  /** PUBRECs that answered nothing; a client may answer them with PUBREL 0x92, or not. */
  readonly #strayPubrecs = new Set<number>();
  readonly #report: ReportViolation;
  #resumed = false;

  constructor(report: ReportViolation) {
    this.#report = report;
  }

  /** Unacknowledged QoS 1 and 2 publishes of this connection. */
  get unacknowledged(): number {
    return this.#unacknowledged.size;
  }

  /** The broker said Session Present. `previous` is unknown when the session was not made with this broker. */
  resume(previous: ClientExchanges | undefined): void {
    this.#resumed = true;
    if (!previous) return;
    for (const [id, exchange] of previous.#leftOver()) this.#owed.set(id, exchange);
  }

  /** In the order in which their publishes were first sent. */
  #leftOver(): [number, Exchange][] {
    const mine = [...this.#open].filter(([, { phase }]) => phase !== 'subscribe' && phase !== 'unsubscribe');
    return [
      ...mine.filter(([, { resumed }]) => resumed),
      ...this.#owed,
      ...mine.filter(([, { resumed }]) => !resumed),
    ].map(([id, exchange]) => [id, { ...exchange, resumed: true }]);
  }

  // ---- what the client sends

  publish(packet: ReceivedPacket<'publish'>): void {
    if (packet.qos === 0) {
      if (packet.dup) this.#report('MQTT-3.3.1-2', 'DUP is set on a QoS 0 message');
      return;
    }
    const id = packet.messageId ?? 0;
    this.#checkIdentifier(id, packet.dup);
    if (packet.dup) this.#checkResend(id, packet);
    this.#open.set(id, { phase: 'publish', publish: packet, resumed: this.#owed.delete(id) });
    this.#unacknowledged.add(id);
  }

  request(packet: ReceivedPacket<'subscribe' | 'unsubscribe'>): void {
    this.#checkIdentifier(packet.messageId, false);
    this.#open.set(packet.messageId, { phase: packet.cmd, resumed: false });
  }

  #checkIdentifier(id: number, dup: boolean): void {
    if (!(id >= 1 && id <= 65_535)) this.#report('MQTT-2.2.1-3', `packet identifier ${id} is not allowed`);
    const holder = this.#open.get(id) ?? (dup ? undefined : this.#owed.get(id));
    if (!holder) return;
    const where = this.#open.has(id) ? '' : ' of an earlier connection in this session';
    this.#report('MQTT-2.2.1-3', `packet identifier ${id} still belongs to a ${holder.phase} in progress${where}`);
  }

  #checkResend(id: number, packet: ReceivedPacket<'publish'>): void {
    if (!this.#resumed) {
      this.#report('MQTT-4.4.0-1', `DUP is set on id ${id}, but the server has no session to resume`);
      return;
    }
    const original = this.#owed.get(id);
    if (!original) return;
    if (original.phase === 'pubrel') this.#report('MQTT-4.3.3-6', `id ${id} is published again after its PUBREL`);
    const { publish } = original;
    if (publish && !(publish.payload.equals(packet.payload) && sameTopic(publish.topic, packet.topic))) {
      this.#report('MQTT-4.4.0-1', `id ${id} is resent with another topic or payload`);
    }
    const first = [...this.#owed].find(([, { phase }]) => phase === 'publish')?.[0];
    if (original.phase === 'publish' && first !== id) {
      this.#report('MQTT-4.6.0-1', `id ${id} is resent before id ${first}, which was sent first`);
    }
  }

  pubrel(id: number): void {
    const verdict = this.#pubrelDue.answer(id);
    if (verdict === 'late') this.#report('MQTT-4.6.0-4', `PUBREL ${id} overtakes the PUBREL of an earlier PUBREC`);
    const exchange = this.#open.get(id) ?? this.#owed.get(id);
    const expected = verdict !== 'unknown' || this.#strayPubrecs.has(id) || this.#resumed;
    if (!expected || exchange?.phase === 'publish') {
      this.#report('MQTT-4.3.3-4', `PUBREL ${id} without a PUBREC`);
    }
    if (!exchange && !this.#resumed) return;
    this.#open.set(id, { ...exchange, phase: 'pubrel', resumed: exchange?.resumed ?? true });
    this.#owed.delete(id);
  }

  acknowledgement(packet: ReceivedPacket<'puback' | 'pubrec' | 'pubcomp'>): void {
    const { cmd, messageId: id } = packet;
    const due = { puback: this.#pubackDue, pubrec: this.#pubrecDue, pubcomp: this.#pubcompDue }[cmd];
    const verdict = due.answer(id);
    const name = cmd.toUpperCase();
    if (verdict === 'unknown') this.#report('acknowledgement', `${name} ${id} answers nothing on this connection`);
    if (verdict === 'late' && cmd === 'puback') this.#report('MQTT-4.6.0-2', `PUBACK ${id} overtakes an earlier one`);
    if (verdict === 'late' && cmd === 'pubrec') this.#report('MQTT-4.6.0-3', `PUBREC ${id} overtakes an earlier one`);
  }

  // ---- what the broker sends

  sent(packet: Packet): void {
    const id = packet.messageId ?? 0;
    const exchange = this.#open.get(id);
    switch (packet.cmd) {
      case 'publish':
        if (packet.qos > 0) (packet.qos === 1 ? this.#pubackDue : this.#pubrecDue).add(id);
        break;
      case 'pubrel':
        this.#pubcompDue.add(id);
        break;
      case 'puback':
        if (exchange?.publish?.qos === 1) this.#finish(id);
        break;
      case 'pubrec':
        this.#sentPubrec(id, packet.reasonCode ?? 0);
        break;
      case 'pubcomp':
        if (exchange?.phase === 'pubrel') this.#finish(id);
        break;
      case 'suback':
        if (exchange?.phase === 'subscribe') this.#open.delete(id);
        break;
      case 'unsuback':
        if (exchange?.phase === 'unsubscribe') this.#open.delete(id);
        break;
      default:
        break;
    }
  }

  #sentPubrec(id: number, reasonCode: number): void {
    const exchange = this.#open.get(id) ?? this.#owed.get(id);
    if (exchange?.publish?.qos !== 2 || exchange.phase === 'pubrel') this.#strayPubrecs.add(id);
    else if (reasonCode >= 0x80) this.#finish(id);
    else {
      if (exchange.phase === 'publish') this.#pubrelDue.add(id);
      else this.#strayPubrecs.add(id);
      exchange.phase = 'pubrec';
    }
  }

  #finish(id: number): void {
    this.#open.delete(id);
    this.#owed.delete(id);
    this.#unacknowledged.delete(id);
  }
}

/** A topic alias leaves the name out; then there is nothing to compare. */
function sameTopic(one: string, other: string): boolean {
  return one === '' || other === '' || one === other;
}
