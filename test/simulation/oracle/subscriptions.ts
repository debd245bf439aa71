import { MqttRefusedError, type MqttError } from '../../../lib/eventloop/errors.js';
import type { QoS } from '../program.js';
import type { Report } from './report.js';

/** A subscribe or unsubscribe of the application. */
export interface SubscriptionOperation {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly filters: readonly string[];
  outcome: 'open' | 'succeeded' | 'failed';
  /** The filters for which the broker did what was asked. */
  settledFor: readonly string[];
}

/** Subscriptions are made again when, and only when, the broker has lost the session, before user traffic. */
export class SubscriptionOracle {
  readonly #report: Report;
  readonly #operations: SubscriptionOperation[] = [];
  /** What the client has to keep alive. */
  readonly #granted = new Set<string>();
  /** To be made again, and not confirmed yet. */
  readonly #owed = new Set<string>();
  /** To be made again on this connection, before anything is published. */
  readonly #first = new Set<string>();
  /** Its unsubscribe is under way or has failed: the client may keep it or drop it. */
  readonly #uncertain = new Set<string>();
  /** A CONNECT was not answered: it may have begun a session without our knowledge. */
  #isUnanswered = false;
  #isInDoubt = false;
  readonly #sent = new Map<number, readonly string[]>();

  constructor(report: Report) {
    this.#report = report;
  }

  get open(): readonly string[] {
    return this.#operations
      .filter(({ outcome }) => outcome === 'open')
      .map(({ kind, filters }) => `${kind} ${filters.join()}`);
  }

  get isSettled(): boolean {
    return this.#operations.every(({ outcome }) => outcome !== 'open');
  }

  /** Nothing is left of what a lost session has undone. */
  get areMadeAgain(): boolean {
    return this.#owed.size === 0;
  }

  offered(kind: 'subscribe' | 'unsubscribe', filters: readonly string[]): SubscriptionOperation {
    const operation: SubscriptionOperation = { kind, filters, outcome: 'open', settledFor: [] };
    this.#operations.push(operation);
    if (kind === 'unsubscribe') {
      for (const filter of filters) {
        this.#granted.delete(filter);
        this.#first.delete(filter);
        this.#uncertain.add(filter);
      }
    }
    return operation;
  }

  /** Of several filters some may be granted and some refused. */
  failed(operation: SubscriptionOperation, error: MqttError): void {
    const { filters } = operation;
    const accepted = error instanceof MqttRefusedError ? filters.filter((filter) => !error.refused.has(filter)) : [];
    this.succeeded(operation, accepted);
    operation.outcome = 'failed';
  }

  succeeded(operation: SubscriptionOperation, filters: readonly string[]): void {
    operation.outcome = 'succeeded';
    operation.settledFor = filters;
    for (const filter of filters) {
      this.#uncertain.delete(filter);
      if (operation.kind === 'subscribe') this.#granted.add(filter);
      else {
        this.#granted.delete(filter);
        this.#owed.delete(filter);
      }
    }
  }

  /** A CONNECT leaves. */
  connecting(): void {
    this.#isInDoubt = this.#isUnanswered;
    this.#isUnanswered = true;
  }

  refused(): void {
    this.#isUnanswered = this.#isInDoubt;
  }

  /** The client has made use of a CONNACK. */
  answered(): void {
    this.#isUnanswered = false;
  }

  connected(sessionPresent: boolean): void {
    this.#sent.clear();
    this.#first.clear();
    if (sessionPresent && !this.#isInDoubt) return;
    for (const filter of this.#granted) {
      this.#owed.add(filter);
      this.#first.add(filter);
    }
  }

  subscribing(id: number, filters: readonly string[]): void {
    this.#sent.set(id, filters);
    for (const filter of filters) {
      this.#first.delete(filter);
      // An unsubscribe under way may be overtaken by a repetition: it comes right behind.
      const isAsked = this.#operations.some(
        ({ outcome, filters: asked }) => outcome === 'open' && asked.includes(filter),
      );
      if (!isAsked && !this.#owed.has(filter) && !this.#uncertain.has(filter)) {
        this.#report('resubscribed only when lost', `${filter} is subscribed again, and the broker had kept it`);
      }
    }
  }

  suback(id: number): void {
    for (const filter of this.#sent.get(id) ?? []) this.#owed.delete(filter);
  }

  publishing(key: string): void {
    if (this.#first.size === 0) return;
    this.#report(
      'resubscribed before user traffic',
      `${key} leaves before ${[...this.#first].join(', ')} is subscribed again`,
    );
  }

  checkAtRest(subscribed: ReadonlyMap<string, QoS>): void {
    for (const filter of new Set(this.#operations.flatMap(({ filters }) => filters))) {
      const last = this.#operations.findLast(({ filters }) => filters.includes(filter))!;
      if (!last.settledFor.includes(filter)) continue;
      const isWanted = last.kind === 'subscribe';
      if (isWanted !== subscribed.has(filter)) {
        this.#report('subscriptions live on', `${filter} is ${isWanted ? 'gone' : 'still there'} at the broker`);
      }
    }
  }
}
