import type { LoggerService } from '@nestjs/common';
import { MqttClosedError, type MqttError } from '../eventloop/errors.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { describeError, MqttSubscriptionsRefusedError } from '../mqtt.errors.js';
import type { RegisteredHandler } from './handler.js';
import { RequestedSubscriptions, type Requested } from './requested-subscriptions.js';
import type { Router } from './router.js';
import { covers, subscriptionOf, type Subscription } from './subscription.js';
import { planAddition, type SubscriptionAddition } from './subscription-changes.js';
import { planSubscriptions } from './subscription-plan.js';

type Refusals = ReadonlyMap<string, MqttError>;
const noRefusals: Refusals = new Map();

/**
 * Makes the subscriptions of the handlers: of those that are there at the start, and of those that come and go later. Once made,
 * the event loop keeps them over reconnects.
 *
 * @internal
 */
export class HandlerSubscriptions {
  readonly #loop: EventLoop;
  readonly #router: Router;
  readonly #logger: LoggerService;
  readonly #onRefused: 'fail' | 'report';
  readonly #requested: RequestedSubscriptions;
  /** Settles when the broker has answered for the handlers of the start; undefined before that. */
  #opened: Promise<Refusals> | undefined;
  /** Whether identifiers tell copies apart: as it was on the first connection. */
  #withIdentifiers = false;
  /** While subscriptions are given identifiers. */
  #identifying: Promise<void> | undefined;
  #isClosed = false;

  constructor(loop: EventLoop, router: Router, logger: LoggerService, onRefused: 'fail' | 'report') {
    this.#onRefused = onRefused;
    this.#loop = loop;
    this.#router = router;
    this.#logger = logger;
    this.#requested = new RequestedSubscriptions(loop, logger, router.identifiers);
  }

  /** Whether the handlers of the start have been seen to: those that come now subscribe for themselves. */
  get isOpen(): boolean {
    return this.#opened !== undefined;
  }

  /**
   * Resolves when the broker has answered all subscriptions. Without a connection it resolves at once and they are made
   * when there is one; what the broker can do is not known before.
   *
   * @throws MqttSubscriptionsRefusedError if refusals are to stop the start
   */
  async open(): Promise<void> {
    this.#opened = this.#loop.negotiated === undefined ? this.#whenConnected() : this.#subscribeAll();
    if (this.#loop.negotiated === undefined) return;
    // A connection that is lost meanwhile must not hold up the start: the loop subscribes when it is back.
    let stop!: () => void;
    const lost = new Promise<Refusals>((resolve) => {
      stop = this.#loop.on('disconnected', () => resolve(noRefusals));
    });
    const refusals = await Promise.race([this.#opened, lost]);
    stop();
    if (this.#onRefused === 'fail' && refusals.size > 0) throw new MqttSubscriptionsRefusedError(refusals);
  }

  /**
   * One more handler. Before the start it is one of the start. Later this resolves when the broker has granted what brings its messages;
   * if it does not, the handler is gone again.
   *
   * @throws what `EventLoop.subscribe` throws
   */
  async add(handler: RegisteredHandler, isWanted: () => boolean): Promise<void> {
    await this.#opened;
    const own = subscriptionOf(handler);
    for (let first = this.#identify(own); first !== undefined; first = this.#identify(own)) await first;
    if (this.#isClosed) throw new MqttClosedError();
    if (!isWanted()) return;
    this.#router.add(handler);
    if (this.#opened === undefined) return;
    try {
      await this.#granted(own);
    } catch (error) {
      this.#router.remove(handler);
      throw error;
    }
  }

  /** The handler is given no further message. Resolves when the broker knows, if it is to send less. */
  async remove(handler: RegisteredHandler): Promise<void> {
    this.#router.remove(handler);
    await this.#opened;
    const { subscription: key, filter } = handler.pattern;
    const requested = this.#requested.get(key);
    if (requested === undefined || this.#isClosed) return;
    const near = this.#router.near(filter);
    if (near.some(({ pattern }) => pattern.subscription === key)) return;
    this.#requested.forget(key);
    if (!this.#withIdentifiers) await this.#subscribeUncovered(requested, near);
    if (!this.#requested.has(key) && !this.#isClosed) await this.#requested.unsubscribe([key]);
  }

  /** @param isLeaving - the connection goes on without the server */
  async close(isLeaving: boolean): Promise<void> {
    this.#isClosed = true;
    if (isLeaving) await this.#requested.unsubscribe(this.#requested.keys);
  }

  #whenConnected(): Promise<Refusals> {
    return new Promise((resolve) => {
      const settle = (refusals: Refusals | Promise<Refusals>): void => {
        for (const stop of stops) stop();
        resolve(refusals);
      };
      const stops = [
        this.#loop.on('connected', () => settle(this.#subscribeAll())),
        this.#loop.on('closed', () => settle(noRefusals)),
      ];
    });
  }

  async #subscribeAll(refused: ReadonlySet<string> = new Set()): Promise<Refusals> {
    this.#withIdentifiers = this.#identifiersAvailable();
    const plan = planSubscriptions(this.#router.handlers, this.#withIdentifiers, refused);
    // All of them at once: what a kept session brings may come before the requests have left.
    for (const [key, identifier] of plan.identifiers) this.#router.identifiers.set(key, identifier);
    this.#warnOfAmbiguity(plan.ambiguous);
    const refusals = await this.#requested.subscribeAll(plan.subscribes);
    if (refusals.size === 0 || this.#withIdentifiers) return refusals;
    // Filters that a refused one would have covered are still to be had.
    return new Map([...refusals, ...(await this.#subscribeAll(new Set([...refused, ...refusals.keys()])))]);
  }

  /**
   * Gives identifiers to subscriptions that have none and would overlap another one. Until that is granted, copies come without.
   *
   * @returns undefined when all of them have one
   */
  #identify(added: Subscription): Promise<unknown> | undefined {
    if (!this.#withIdentifiers) return undefined;
    const { first } = this.#plan(added);
    if (first.length === 0) return this.#identifying;
    const granted = Promise.all([this.#identifying, ...first.map((subscribe) => this.#requested.subscribe(subscribe))]);
    const settled = granted
      .catch(() => undefined)
      .then(() => {
        if (this.#identifying === settled) this.#identifying = undefined;
      });
    this.#identifying = settled;
    return granted;
  }

  async #granted(own: Subscription): Promise<void> {
    for (;;) {
      const by = this.#request(own);
      try {
        await by.answered;
        return;
      } catch (error) {
        // What would have covered it is not to be had; perhaps it is itself.
        if (by.key === own.key || this.#requested.has(by.key)) throw error;
      }
    }
  }

  #plan(added: Subscription): SubscriptionAddition {
    const identifiers = this.#withIdentifiers ? this.#router.identifiers : undefined;
    return planAddition(this.#requested.near(added), added, identifiers);
  }

  /** @returns the subscription that brings its messages */
  #request(added: Subscription): Requested {
    const { by, subscribes, covered, ambiguous } = this.#plan(added);
    this.#warnOfAmbiguity(ambiguous);
    for (const subscribe of subscribes) void this.#requested.subscribe(subscribe);
    const requested = this.#requested.get(by)!;
    if (covered.length > 0) {
      requested.answered.then(
        () => this.#endCovered(by, covered),
        () => undefined,
      );
    }
    return requested;
  }

  /** From now on the broker need not send these for themselves. */
  #endCovered(by: string, covered: readonly string[]): void {
    if (!this.#requested.has(by) || this.#isClosed) return;
    const ended = covered.filter((key) => this.#requested.has(key));
    for (const key of ended) {
      // It may have got wider options meanwhile.
      const { subscribes } = planAddition([this.#requested.get(by)!], this.#requested.get(key)!, undefined);
      for (const subscribe of subscribes) void this.#requested.subscribe(subscribe);
    }
    this.#requested.unsubscribe(ended).catch((error: unknown) => {
      this.#logger.warn(`unsubscribing from what "${by}" covers failed: ${describeError(error)}`);
    });
  }

  /** What had its messages from a subscription that ends is to have them before the broker stops sending. */
  async #subscribeUncovered(ending: Subscription, handlers: readonly RegisteredHandler[]): Promise<void> {
    const uncovered = handlers.filter((handler) => {
      const own = subscriptionOf(handler);
      if (!covers(ending, own)) return false;
      return !this.#requested.near(own).some((other) => other.key === own.key || covers(other, own));
    });
    await this.#requested.subscribeAll(planSubscriptions(uncovered, false).subscribes);
  }

  #identifiersAvailable(): boolean {
    const negotiated = this.#loop.negotiated;
    return negotiated?.protocolVersion === 5 && negotiated.subscriptionIdentifiersAvailable;
  }

  #warnOfAmbiguity(ambiguous: readonly (readonly [string, string])[]): void {
    const first = ambiguous[0];
    if (first === undefined) return;
    this.#logger.warn(
      `"${first[0]}" and "${first[1]}" ${ambiguous.length > 1 ? `(and ${ambiguous.length - 1} more pairs) ` : ''}` +
        'overlap: a broker that delivers a message once for each of them makes their handlers run for each copy; ' +
        'use MQTT 5, whose subscription identifiers tell the copies apart, or a filter that covers both',
    );
  }
}
