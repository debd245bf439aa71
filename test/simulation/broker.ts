import type { SimulationClock } from './clock.js';
import type { BrokerEnd, Link } from './network.js';
import { keyOf, payloadOf, type WirePacket } from './packets.js';
import type { BrokerConfig, BrokerLimits, QoS } from './program.js';
import type { Random } from './random.js';
import { BrokerSession, type Message } from './broker-session.js';

/** What happens at the broker. */
export interface BrokerObserver {
  published(key: string, topic: string): void;
  /** A publish was accepted and passed on to its subscribers. */
  arrived(key: string, session: BrokerSession): void;
  /** The client promised never to publish this one again. */
  released(key: string): void;
  queued(message: Message, session: BrokerSession): void;
  acknowledged(message: Message): void;
  silentClient(link: Link): void;
}

/** State of one accepted connection. */
interface Served {
  readonly session: BrokerSession;
  readonly keepAliveMs: number;
  lastPacketMs: number;
  /** Topic aliases belong to one connection. */
  readonly aliases: Map<number, string>;
}

/**
 * A small broker after the specification, sharing nothing with the client: sessions, three qualities of service in both
 * directions, Receive Maximum, redelivery. It is always right; whoever disagrees with it is wrong.
 */
export class ModelBroker implements BrokerEnd {
  reachable: 'yes' | 'refuses' | 'hangs' = 'yes';
  readonly sessions = new Map<string, BrokerSession>();
  /** Connection attempts that will be refused, with their reason. */
  refusals: { times: number; reasonCode: number } = { times: 0, reasonCode: 0 };
  latencyMs: readonly [number, number];
  limits: BrokerLimits;
  readonly #clock: SimulationClock;
  readonly #random: Random;
  readonly #config: BrokerConfig;
  readonly #observer: BrokerObserver;
  readonly #served = new Map<Link, Served>();
  readonly #answeredMs = new Map<Link, number>();
  #generation = 0;

  constructor(clock: SimulationClock, random: Random, config: BrokerConfig, observer: BrokerObserver) {
    this.#clock = clock;
    this.#random = random;
    this.#config = config;
    this.#observer = observer;
    this.latencyMs = config.latencyMs;
    this.limits = config.limits;
  }

  received(link: Link, packet: WirePacket): void {
    if (packet.cmd === 'connect') return this.#connect(link, packet);
    const served = this.#served.get(link);
    if (served === undefined) return;
    served.lastPacketMs = this.#clock.nowMs;
    const { session } = served;
    switch (packet.cmd) {
      case 'publish':
        return this.#publish(link, served, packet);
      case 'pubrel':
        return this.#pubrel(link, session, packet.messageId!);
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return this.#acknowledgement(session, packet.cmd, packet.messageId!, packet.reasonCode ?? 0);
      case 'subscribe': {
        const refusal = link.version === 5 ? 0x87 : 0x80;
        const granted = packet.subscriptions.map(({ topic, qos }) => (topic.startsWith('refused') ? refusal : qos));
        packet.subscriptions.forEach(({ topic, qos }, index) => {
          if (granted[index]! < 0x80) session.subscriptions.set(topic, qos);
        });
        return this.#answer(link, { cmd: 'suback', messageId: packet.messageId!, granted });
      }
      case 'unsubscribe': {
        for (const filter of packet.unsubscriptions) session.subscriptions.delete(filter);
        const granted = link.version === 5 ? packet.unsubscriptions.map(() => 0) : [];
        return this.#answer(link, { cmd: 'unsuback', messageId: packet.messageId!, granted });
      }
      case 'pingreq':
        return this.#answer(link, { cmd: 'pingresp' });
      case 'disconnect':
        return this.#drop(link);
      default:
        return undefined;
    }
  }

  closed(link: Link): void {
    const served = this.#served.get(link);
    if (served === undefined) return;
    this.#served.delete(link);
    const { session } = served;
    if (session.link !== link) return;
    session.link = undefined;
    if (session.endsWithConnection) this.sessions.delete(session.clientId);
  }

  /** Somebody publishes to the client. */
  deliver(key: string, topic: string, qos: QoS, bytes: number): void {
    for (const session of this.sessions.values()) {
      const granted = session.grantedQos(topic);
      if (granted === undefined) continue;
      const message: Message = { key, topic, qos: Math.min(qos, granted) as QoS, payload: payloadOf(key, bytes) };
      if (message.qos === 0 && session.link === undefined) continue;
      session.queue.push(message);
      this.#observer.queued(message, session);
      this.#pump(session);
    }
  }

  /** Ends the present connections, with a reason where the protocol has one. */
  kick(reasonCode: number): void {
    for (const link of this.#served.keys()) {
      if (link.version === 5) link.send({ cmd: 'disconnect', reasonCode });
      this.#drop(link);
    }
  }

  restart(keepSessions: boolean): void {
    for (const link of this.#served.keys()) link.break('reset');
    this.#served.clear();
    for (const session of this.sessions.values()) {
      session.link = undefined;
      if (session.endsWithConnection) this.sessions.delete(session.clientId);
    }
    if (!keepSessions) this.sessions.clear();
  }

  stray(cmd: 'puback' | 'pubrec' | 'pubcomp' | 'pubrel'): void {
    for (const link of this.#served.keys()) link.send({ cmd, messageId: 65_000 });
  }

  #drop(link: Link): void {
    link.brokerCloses();
    this.closed(link);
  }

  #connect(link: Link, packet: Extract<WirePacket, { cmd: 'connect' }>): void {
    const refusal = this.#refusal(link.version);
    if (refusal !== undefined) {
      link.send({ cmd: 'connack', sessionPresent: false, ...refusal });
      return link.brokerCloses();
    }
    const { clientId } = packet;
    const earlier = this.sessions.get(clientId);
    if (earlier?.link !== undefined) this.#drop(earlier.link);
    if (packet.clean) this.sessions.delete(clientId);
    const present = this.sessions.get(clientId);
    const session = present ?? new BrokerSession(clientId, ++this.#generation);
    this.sessions.set(clientId, session);
    const { properties } = packet;
    session.link = link;
    session.isOpen = false;
    session.endsWithConnection = link.version === 5 ? !properties?.sessionExpiryInterval : packet.clean === true;
    session.window = link.version === 5 ? (properties?.receiveMaximum ?? 65_535) : this.#config.window311;
    const keepAliveMs = (packet.keepalive ?? 0) * 1_500;
    const served: Served = { session, keepAliveMs, lastPacketMs: this.#clock.nowMs, aliases: new Map() };
    this.#served.set(link, served);
    this.#watch(link, served);
    this.#answer(
      link,
      {
        cmd: 'connack',
        sessionPresent: present !== undefined,
        ...(link.version === 5 ? { reasonCode: 0, properties: { ...this.limits } } : { returnCode: 0 }),
      },
      () => {
        for (const again of session.resume()) link.send(again);
        this.#pump(session);
      },
    );
  }

  #refusal(version: 4 | 5): { reasonCode?: number; returnCode?: number } | undefined {
    if (this.#config.only311 && version === 5) return { reasonCode: 0x84 };
    if (this.refusals.times === 0) return undefined;
    this.refusals.times--;
    return version === 5 ? { reasonCode: this.refusals.reasonCode } : { returnCode: 3 };
  }

  #watch(link: Link, served: Served): void {
    if (served.keepAliveMs === 0 || this.#served.get(link) !== served) return;
    const silentMs = this.#clock.nowMs - served.lastPacketMs;
    if (silentMs >= served.keepAliveMs - 1e-6) {
      if (link.silentSinceMs === undefined && !link.wasFrozen) this.#observer.silentClient(link);
      return this.#drop(link);
    }
    this.#clock.schedule(served.keepAliveMs - silentMs, () => this.#watch(link, served));
  }

  #publish(link: Link, { session, aliases }: Served, packet: Extract<WirePacket, { cmd: 'publish' }>): void {
    const key = keyOf(packet.payload);
    const alias = packet.properties?.topicAlias;
    const topic = packet.topic === '' ? (aliases.get(alias!) ?? '') : packet.topic;
    if (alias !== undefined) aliases.set(alias, topic);
    this.#observer.published(key, topic);
    const id = packet.messageId!;
    const isRepeated = packet.qos === 2 && session.received.has(id);
    const isRefused = link.version === 5 && packet.qos > 0 && topic.startsWith('refused') && !isRepeated;
    if (!isRefused && !isRepeated) this.#observer.arrived(key, session);
    if (packet.qos === 2 && !isRefused) session.received.set(id, session.received.get(id) ?? key);
    if (packet.qos === 0) return;
    const reasonCode = isRefused ? 0x87 : 0;
    const cmd = packet.qos === 1 ? 'puback' : 'pubrec';
    this.#answer(link, { cmd, messageId: id, ...(link.version === 5 ? { reasonCode } : {}) });
  }

  #pubrel(link: Link, session: BrokerSession, id: number): void {
    const key = session.received.get(id);
    session.received.delete(id);
    if (key !== undefined) this.#observer.released(key);
    const reasonCode = key === undefined && link.version === 5 ? 0x92 : 0;
    this.#answer(link, { cmd: 'pubcomp', messageId: id, ...(link.version === 5 ? { reasonCode } : {}) });
  }

  #acknowledgement(session: BrokerSession, cmd: 'puback' | 'pubrec' | 'pubcomp', id: number, reasonCode: number): void {
    const { message, pubrel } = session.acknowledged(cmd, id, reasonCode);
    if (message !== undefined) this.#observer.acknowledged(message);
    if (pubrel) session.link?.send({ cmd: 'pubrel', messageId: id });
    this.#pump(session);
  }

  #pump(session: BrokerSession): void {
    const { link } = session;
    if (link === undefined || !session.isOpen) return;
    for (let packet = session.next(); packet !== undefined; packet = session.next()) link.send(packet);
  }

  /** Answers leave in the order of the questions. */
  #answer(link: Link, packet: WirePacket, andThen?: () => void): void {
    const { nowMs } = this.#clock;
    const dueMs = Math.max(this.#answeredMs.get(link) ?? 0, nowMs + this.#random.between(this.latencyMs));
    this.#answeredMs.set(link, dueMs);
    this.#clock.schedule(dueMs - nowMs, () => {
      if (!link.isOpenAtBroker || !this.#served.has(link)) return;
      link.send(packet);
      andThen?.();
    });
  }
}
