import type { Link } from './network.js';
import type { WirePacket } from './packets.js';
import type { QoS } from './program.js';

/** What the broker has for a subscriber. */
export interface Message {
  readonly key: string;
  readonly topic: string;
  readonly qos: QoS;
  readonly payload: Buffer;
}

interface Inflight {
  readonly message: Message;
  /** QoS 2 past PUBREC. */
  released: boolean;
}

/** Few, so that they are used again soon. */
const IDS = 20;

/** What a broker keeps for one client. */
export class BrokerSession {
  readonly subscriptions = new Map<string, QoS>();
  /** QoS 2 publishes between PUBLISH and PUBREL, by packet identifier. */
  readonly received = new Map<number, string>();
  readonly queue: Message[] = [];
  link: Link | undefined;
  endsWithConnection = false;
  window = 1;
  /** CONNACK has left. */
  isOpen = false;
  readonly #inflight = new Map<number, Inflight>();
  #lastId = 0;

  constructor(
    readonly clientId: string,
    /** Tells this session from those that were lost. */
    readonly generation: number,
  ) {}

  /**
   * Every session has identifiers of its own. A client that could not know of a new session would take a QoS 2 message for a
   * repetition of the old session's that had its identifier: no client can help that, see docs/simulation.md.
   */
  get #firstId(): number {
    return 1 + (this.generation % 3_000) * IDS;
  }

  get isEmpty(): boolean {
    return this.queue.length === 0 && this.#inflight.size === 0 && this.received.size === 0;
  }

  grantedQos(topic: string): QoS | undefined {
    const matching = [...this.subscriptions].filter(([filter]) => filter === topic || filter === 'in/+');
    return matching.length === 0 ? undefined : (Math.max(...matching.map(([, qos]) => qos)) as QoS);
  }

  /** What was under way, again, in its order [MQTT-4.4.0-1]. */
  *resume(): Generator<WirePacket, void> {
    this.isOpen = true;
    for (const [id, { message, released }] of this.#inflight) {
      yield released ? { cmd: 'pubrel', messageId: id } : publishPacket(message, id, true);
    }
  }

  /** The next message that the client's Receive Maximum allows. */
  next(): WirePacket | undefined {
    const message = this.queue[0];
    if (message === undefined || (message.qos > 0 && this.#inflight.size >= Math.min(this.window, IDS - 1)))
      return undefined;
    this.queue.shift();
    if (message.qos === 0) return publishPacket(message, 0, false);
    do this.#lastId = (this.#lastId + 1) % IDS;
    while (this.#inflight.has(this.#firstId + this.#lastId));
    const id = this.#firstId + this.#lastId;
    this.#inflight.set(id, { message, released: false });
    return publishPacket(message, id, false);
  }

  acknowledged(
    cmd: 'puback' | 'pubrec' | 'pubcomp',
    id: number,
    reasonCode: number,
  ): { message: Message | undefined; pubrel: boolean } {
    const inflight = this.#inflight.get(id);
    const { message, released } = inflight ?? { message: undefined, released: false };
    const isOver = cmd === 'pubcomp' ? released : cmd === 'puback' ? message?.qos === 1 : reasonCode >= 0x80;
    if (isOver) this.#inflight.delete(id);
    if (cmd === 'pubrec' && inflight !== undefined && !isOver) inflight.released = true;
    return { message: cmd === 'pubcomp' ? undefined : message, pubrel: cmd === 'pubrec' && !isOver };
  }
}

function publishPacket({ topic, qos, payload }: Message, messageId: number, dup: boolean): WirePacket {
  return { cmd: 'publish', topic, qos, payload, retain: false, dup, ...(qos > 0 ? { messageId } : {}) };
}
