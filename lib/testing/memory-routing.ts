import type { Clock } from '../eventloop/clock.js';
import { parseSharedFilter, topicMatches } from '../eventloop/topics.js';
import { keep, type KeptMessage, type MemoryMessage } from './memory-message.js';
import { MemorySession, type MemoryDelivery } from './memory-session.js';
import type { ReceivedPacket } from './packets.js';

/** Sessions and retained messages of a {@link MemoryBroker}, and who receives what. @internal */
export class MemoryRouting {
  readonly #sessions = new Map<string, MemorySession>();
  readonly #retained = new Map<string, KeptMessage>();
  /** How many messages each shared subscription has had: its members take turns. */
  readonly #turns = new Map<string, number>();

  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get sessions(): MemorySession[] {
    for (const session of this.#sessions.values()) if (session.isExpired) this.forget(session);
    return [...this.#sessions.values()];
  }

  find(clientId: string): MemorySession | undefined {
    return this.sessions.find((session) => session.clientId === clientId);
  }

  /** In place of the client's session, if there is one. */
  open(clientId: string): MemorySession {
    const session = new MemorySession(clientId, this.#clock);
    this.#sessions.set(clientId, session);
    return session;
  }

  forget(session: MemorySession): void {
    if (this.#sessions.get(session.clientId) === session) this.#sessions.delete(session.clientId);
  }

  /** A retained message comes with the subscription. */
  subscribe(session: MemorySession, { subscriptions, properties }: ReceivedPacket<'subscribe'>): void {
    const identifier = properties?.subscriptionIdentifier;
    for (const subscription of subscriptions) {
      const isNew = session.subscribe(subscription, identifier);
      const wantsRetained = subscription.rh !== 2 && (isNew || subscription.rh !== 1);
      if (!wantsRetained || parseSharedFilter(subscription.topic) !== undefined) continue;
      for (const message of this.#retained.values()) {
        const isCurrent = this.#clock.now() < message.expiresAtMs;
        if (isCurrent && topicMatches(subscription.topic, message.topic)) {
          session.deliver(message, [{ ...subscription, identifier }], true);
        }
      }
    }
  }

  route(published: MemoryMessage, from?: MemorySession): MemoryDelivery[] {
    const message = keep(published, this.#clock.now());
    if (message.retain && message.payload.length === 0) this.#retained.delete(message.topic);
    else if (message.retain) this.#retained.set(message.topic, message);
    const plain = this.sessions.flatMap((session) => session.deliverMatching(message, from) ?? []);
    return [...plain, ...this.#shared(message)];
  }

  #shared(message: KeptMessage): MemoryDelivery[] {
    const members = new Map<string, MemorySession[]>();
    for (const session of this.#sessions.values()) {
      for (const filter of session.subscriptions.keys()) {
        if (parseSharedFilter(filter) === undefined || !topicMatches(filter, message.topic)) continue;
        const others = members.get(filter);
        if (others === undefined) members.set(filter, [session]);
        else others.push(session);
      }
    }
    return [...members].map(([filter, all]) => {
      const connected = all.filter(({ connection }) => connection !== undefined);
      const candidates = connected.length > 0 ? connected : all;
      const turn = this.#turns.get(filter) ?? 0;
      this.#turns.set(filter, turn + 1);
      const session = candidates[turn % candidates.length]!;
      return session.deliver(message, [session.subscriptions.get(filter)!]);
    });
  }
}
