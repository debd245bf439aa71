import { systemClock } from '../eventloop/clock.js';
import type { EventLoopRuntime } from '../eventloop/runtime.js';
import type { PublishProperties, QoS } from '../eventloop/messages.js';
import { assertTopicName } from '../eventloop/topics.js';
import { MemoryRouting } from './memory-routing.js';
import { fromPacket, PublishedMessage, toPayload } from './memory-message.js';
import { MemorySession, type MemoryDelivery } from './memory-session.js';
import { MessageLog, type ExpectedMessage } from './message-log.js';
import type { ReceivedPacket } from './packets.js';
import { ScriptedBroker, type ScriptedBrokerOptions } from './scripted-broker.js';
import type { ScriptedConnection } from './scripted-connection.js';
import type { VirtualClock } from './virtual-clock.js';

/** Of a session expiry. */
const never = 0xffff_ffff;

/** @publicApi */
export interface MemoryBrokerOptions extends Pick<ScriptedBrokerOptions, 'guardMs'> {
  /** The version that the broker speaks; 4 is MQTT 3.1.1. Default 5. */
  readonly protocolVersion?: 4 | 5 | undefined;
  /**
   * The time of the applications under test: retries, timeouts, backoff, keep alive; and of the broker: expiry of sessions and messages,
   * delays of wills. Default: the computer's.
   */
  readonly clock?: VirtualClock | undefined;
  /** The randomness of their backoff and jitter, uniform in [0, 1). Default: always 0.5, so that delays are the same in every run. */
  readonly random?: (() => number) | undefined;
}

/** @publicApi */
export interface MemoryPublishOptions {
  /** Default 1. */
  readonly qos?: QoS | undefined;
  /** Default false. */
  readonly retain?: boolean | undefined;
  /** MQTT 5. */
  readonly properties?: PublishProperties | undefined;
}

/**
 * A broker inside the process, for tests of applications: the whole client runs, codec and event loop included, without a network.
 * It routes messages, retains them, shares subscriptions, keeps sessions, publishes wills, and checks every byte it gets.
 *
 * ```ts
 * const broker = new MemoryBroker();
 * const module = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(getMqttRuntimeToken())
 *   .useValue(broker.runtime)
 *   .compile();
 * ```
 *
 * @publicApi
 */
export class MemoryBroker {
  /** What stands for the outside world: give it to `overrideProvider(getMqttRuntimeToken())`, or to an `EventLoop`. */
  readonly runtime: EventLoopRuntime;
  readonly #link: ScriptedBroker;
  readonly #protocolVersion: 4 | 5;
  readonly #routing: MemoryRouting;
  readonly #log: MessageLog;
  #assignedIds = 0;

  constructor({ protocolVersion = 5, clock, random = () => 0.5, guardMs = 4_000 }: MemoryBrokerOptions = {}) {
    this.#protocolVersion = protocolVersion;
    this.#routing = new MemoryRouting(clock ?? systemClock);
    this.#log = new MessageLog(guardMs);
    this.#link = new ScriptedBroker({ guardMs });
    this.#link.serveWith({ take: (connection) => this.#take(connection) });
    this.runtime = Object.freeze({
      dial: this.#link.dial,
      clock,
      random,
      resolveSrv: () => Promise.resolve([{ name: 'memory', port: 1883, priority: 0, weight: 0 }]),
    });
  }

  /** The filters that connected clients and kept sessions are subscribed to. */
  get subscriptions(): string[] {
    return this.#routing.sessions.flatMap(({ subscriptions }) => [...subscriptions.keys()]);
  }

  /** Everything that clients have published so far, wills included, in order. */
  get published(): readonly PublishedMessage[] {
    return this.#log.messages;
  }

  /**
   * The next message on a matching topic that no `nextPublish` has returned yet; waits for it.
   *
   * @throws Error that lists what was published when none comes within `guardMs` of real time
   */
  nextPublish(filter = '#'): Promise<PublishedMessage> {
    return this.#log.next(filter);
  }

  /**
   * Asserts that a matching message was published. With `expected`, that one of them has all of that.
   *
   * @returns the first one
   * @throws Error that lists what was published
   */
  assertPublished(filter: string, expected: ExpectedMessage = {}): PublishedMessage {
    return this.#log.assertPublished(filter, expected);
  }

  /** @throws Error that lists what was published */
  assertNothingPublished(filter = '#'): void {
    this.#log.assertNothing(filter);
  }

  /**
   * Publishes as another client would: bytes and text as they are, nothing as an empty payload, everything else as JSON.
   *
   * @returns one delivery for each client that is subscribed, which tells how it is acknowledged
   * @throws MqttArgumentError
   */
  publish(topic: string, data?: unknown, options: MemoryPublishOptions = {}): MemoryDelivery[] {
    assertTopicName(topic);
    const { qos = 1, retain = false, properties } = options;
    return this.#routing.route({ topic, payload: toPayload(data), qos, retain, properties });
  }

  /**
   * Sees what clients publish on matching topics from now on.
   *
   * @returns a function that stops it
   */
  watch(filter: string, listener: (message: PublishedMessage) => void): () => void {
    return this.#log.watch(filter, listener);
  }

  /** Breaks every connection, as a network does: clients see `ECONNRESET`, and connect again. */
  cut(): void {
    for (const { connection } of this.#routing.sessions) connection?.cut();
  }

  /** Refuses connections until `up()`. Those that exist stay: see `cut`. */
  down(): void {
    this.#link.down();
  }

  up(): void {
    this.#link.up();
  }

  /** Throws when a client has broken a rule of MQTT. */
  assertClean(): void {
    this.#link.assertClean();
  }

  /** Closes every connection. Close applications first. */
  async close(): Promise<void> {
    this.down();
    await this.#link.close();
    for (const session of this.#routing.sessions) session.cancelWill();
  }

  // ---- one client

  #take(connection: ScriptedConnection): void {
    let session: MemorySession | undefined;
    let will: PublishedMessage | undefined;
    let willDelaySeconds = 0;
    let expirySeconds = 0;
    connection.whenClosed(() => {
      if (session === undefined) return;
      const isLast = session.connection === connection;
      if (isLast) session.detach(expirySeconds);
      this.#leaveWill(session, will, Math.min(willDelaySeconds, expirySeconds), isLast);
      if (isLast && expirySeconds === 0) this.#routing.forget(session);
    });
    connection.handle((packet) => {
      if (packet.cmd === 'connect') {
        session = this.#accept(connection, packet);
        will = session && willOf(packet, session.clientId);
        willDelaySeconds = packet.will?.properties?.willDelayInterval ?? 0;
        expirySeconds = expiryOf(packet);
      } else if (session !== undefined) {
        // Reason 0x04 asks for the will all the same.
        if (packet.cmd === 'disconnect' && packet.reasonCode !== 0x04) will = undefined;
        if (packet.cmd === 'disconnect')
          expirySeconds = secondsOf(packet.properties?.sessionExpiryInterval) ?? expirySeconds;
        this.#answer(connection, session, packet);
      }
    });
  }

  #accept(connection: ScriptedConnection, packet: ReceivedPacket<'connect'>): MemorySession | undefined {
    if (packet.protocolVersion === 5 && this.#protocolVersion === 4) {
      connection.connack({ reasonCode: 0x84 });
      connection.end();
      return undefined;
    }
    const clientId = packet.clientId === '' ? `memory-${++this.#assignedIds}` : packet.clientId;
    const known = this.#routing.find(clientId);
    this.#takeOver(known?.connection);
    const isResumed = known !== undefined && packet.clean !== true;
    if (!isResumed) known?.end();
    const session = isResumed ? known : this.#routing.open(clientId);
    const assigned = packet.clientId === '' && packet.protocolVersion === 5;
    connection.connack({
      sessionPresent: isResumed,
      properties: assigned ? { assignedClientIdentifier: clientId } : undefined,
    });
    session.attach(connection, packet);
    return session;
  }

  #takeOver(other: ScriptedConnection | undefined): void {
    if (other?.protocolVersion === 5) other.disconnect({ reasonCode: 0x8e });
    other?.end();
  }

  /** @param isLast - nobody has taken the session over; whoever has resumed it is back before any delay has passed */
  #leaveWill(session: MemorySession, will: PublishedMessage | undefined, delaySeconds: number, isLast: boolean): void {
    if (will === undefined) return;
    const publish = (): void => void this.#publish(will, session);
    if (delaySeconds === 0 || (!isLast && this.#routing.find(session.clientId) !== session)) publish();
    else if (isLast) session.publishWillAfter(delaySeconds, publish);
  }

  #answer(connection: ScriptedConnection, session: MemorySession, packet: ReceivedPacket): void {
    switch (packet.cmd) {
      case 'publish':
        return this.#receive(connection, session, packet);
      case 'pubrel':
        session.release(packet.messageId);
        return connection.pubcomp(packet);
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return session.acknowledged(packet);
      case 'subscribe':
        connection.suback(packet);
        return this.#routing.subscribe(session, packet);
      case 'unsubscribe': {
        const codes = packet.unsubscriptions.map((filter) => (session.subscriptions.delete(filter) ? 0 : 0x11));
        return connection.unsuback(packet, codes);
      }
      case 'pingreq':
        return connection.pingresp();
      case 'disconnect':
        return connection.end();
      default:
        return;
    }
  }

  #receive(connection: ScriptedConnection, session: MemorySession, packet: ReceivedPacket<'publish'>): void {
    const isNew = packet.qos < 2 || session.receive(packet.messageId!);
    const receivers = isNew ? this.#publish(publishedBy(packet, session), session) : 1;
    // As brokers with MQTT 5 do: success, and nobody subscribes.
    const reasonCode = receivers === 0 && connection.protocolVersion === 5 ? 0x10 : 0;
    if (packet.qos === 1) connection.puback(packet, { reasonCode });
    else if (packet.qos === 2) connection.pubrec(packet, { reasonCode });
  }

  /** @returns how many clients receive it */
  #publish(message: PublishedMessage, from: MemorySession | undefined): number {
    this.#log.add(message);
    return this.#routing.route(message, from).length;
  }
}

function publishedBy(packet: ReceivedPacket<'publish'>, { clientId }: MemorySession): PublishedMessage {
  const { properties } = packet;
  return new PublishedMessage({ ...packet, properties: properties && fromPacket(properties) }, clientId);
}

function willOf({ will }: ReceivedPacket<'connect'>, clientId: string): PublishedMessage | undefined {
  if (will === undefined) return undefined;
  const { topic, payload, qos = 0, retain = false, properties } = will;
  const { willDelayInterval: _delay, ...rest } = properties ?? {};
  return new PublishedMessage(
    { topic, payload: toPayload(payload), qos, retain, properties: properties && fromPacket(rest) },
    clientId,
  );
}

/** How long a session outlives its connection. MQTT 3.1.1: for ever, or not at all. */
function expiryOf({ protocolVersion, clean, properties }: ReceivedPacket<'connect'>): number {
  if (protocolVersion !== 5) return clean === true ? 0 : Infinity;
  return secondsOf(properties?.sessionExpiryInterval) ?? 0;
}

function secondsOf(interval: number | undefined): number | undefined {
  return interval === never ? Infinity : interval;
}
