import type { LoggerService } from '@nestjs/common';
import { MqttNotSupportedError, MqttRefusedError, type MqttError } from '../eventloop/errors.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { describeError, MqttSubscriptionsRefusedError } from '../mqtt.errors.js';
import type { Router } from './router.js';
import { planSubscriptions, type PlannedSubscribe } from './subscription-plan.js';

/** Subscribe requests under way at once: with thousands of handlers they must not take all the room there is for requests. */
const mostUnderWay = 100;

/**
 * Makes the subscriptions of the registered handlers. Once made, the event loop keeps them over reconnects.
 *
 * @internal
 */
export class HandlerSubscriptions {
  readonly #loop: EventLoop;
  readonly #router: Router;
  readonly #logger: LoggerService;
  readonly #onRefused: 'fail' | 'report';
  readonly #requested = new Set<string>();
  /** What the broker does not let us have, and why. */
  readonly #refusals = new Map<string, MqttError>();

  constructor(loop: EventLoop, router: Router, logger: LoggerService, onRefused: 'fail' | 'report') {
    this.#onRefused = onRefused;
    this.#loop = loop;
    this.#router = router;
    this.#logger = logger;
  }

  /**
   * Resolves when the broker has answered all subscriptions. Without a connection it resolves at once and they are made
   * when there is one; what the broker can do is not known before.
   *
   * @throws MqttSubscriptionsRefusedError if refusals are to stop the start
   */
  async open(): Promise<void> {
    if (this.#loop.negotiated !== undefined) {
      await this.#subscribeWhileConnected();
      if (this.#onRefused === 'fail' && this.#refusals.size > 0)
        throw new MqttSubscriptionsRefusedError(this.#refusals);
      return;
    }
    const stop = this.#loop.on('connected', () => {
      stop();
      void this.#subscribeAll(new Set());
    });
  }

  async close(): Promise<void> {
    if (this.#requested.size > 0) await this.#loop.unsubscribe([...this.#requested]);
  }

  /** A connection that is lost meanwhile must not hold up the start: the loop subscribes when it is back. */
  async #subscribeWhileConnected(): Promise<void> {
    let stop!: () => void;
    const lost = new Promise<void>((resolve) => (stop = this.#loop.on('disconnected', () => resolve())));
    await Promise.race([this.#subscribeAll(new Set()), lost]);
    stop();
  }

  async #subscribeAll(refused: Set<string>): Promise<void> {
    const withIdentifiers = this.#identifiersAvailable();
    const plan = planSubscriptions(this.#router.handlers, withIdentifiers, refused);
    this.#router.useIdentifiers(plan.identifiers);
    this.#warnOfAmbiguity(plan.ambiguous);
    const known = refused.size;
    const next = plan.subscribes.values();
    const work = async (): Promise<void> => {
      for (const subscribe of next) await this.#subscribe(subscribe, refused);
    };
    await Promise.all(Array.from({ length: mostUnderWay }, work));
    // Filters that a refused one would have covered are still to be had.
    if (refused.size > known && !withIdentifiers) await this.#subscribeAll(refused);
  }

  async #subscribe({ filters, identifier }: PlannedSubscribe, refused: Set<string>): Promise<void> {
    const wanted = Object.entries(filters).filter(([filter]) => !this.#requested.has(filter));
    if (wanted.length === 0) return;
    for (const [filter] of wanted) this.#requested.add(filter);
    try {
      await this.#loop.subscribe(Object.fromEntries(wanted), { subscriptionIdentifier: identifier });
    } catch (error) {
      if (error instanceof MqttRefusedError) {
        // The loop's event has brought it to the log.
        for (const filter of error.refused.keys()) {
          refused.add(filter);
          this.#refusals.set(filter, error);
        }
      } else if (error instanceof MqttNotSupportedError && wanted.length > 1) {
        // One filter of the packet is beyond the broker; the others are not.
        for (const [filter] of wanted) this.#requested.delete(filter);
        await Promise.all(
          wanted.map(([filter, options]) => this.#subscribe({ filters: { [filter]: options }, identifier }, refused)),
        );
      } else {
        if (error instanceof MqttNotSupportedError) this.#refusals.set(wanted[0]![0], error);
        const names = wanted.map(([filter]) => `"${filter}"`).join(', ');
        this.#logger.error(`subscribing to ${names} failed: ${describeError(error)}`);
      }
    }
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
