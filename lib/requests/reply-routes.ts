import { LinkedList, type ListNode } from '../eventloop/admission/linked-list.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { MqttRefusedError } from '../eventloop/errors.js';
import type { MqttReplyMode } from '../interfaces/module-options.interface.js';

/** Topics whose responders are remembered. */
const mostRoutes = 1_000;

interface Route extends ListNode<Route> {
  readonly topic: string;
  /** `<topic>/reply` */
  readonly replyTopic: string;
  /** Who answers there, as far as we know. */
  responder: 'unknown' | 'private' | 'builtin';
  /** Requests that wait for replies. */
  pending: number;
  /** The subscription to the reply topic, while there is one. */
  subscription: Subscription | undefined;
}

interface Subscription {
  isReady: boolean;
  isRefused: boolean;
  readonly ready: Promise<void>;
}

/** That of handlers, which brings the replies as well. */
const ofHandlers: Subscription = { isReady: true, isRefused: false, ready: Promise.resolve() };

/** What of the event loop is needed. @internal */
export type Subscriber = Pick<EventLoop, 'subscribe' | 'unsubscribe'>;

/**
 * Where replies are expected. The private inbox is subscribed to once. `<topic>/reply`, where Nest's built-in server
 * answers, is subscribed to until a reply shows that the responder uses the inbox, and for good where it does not.
 *
 * @internal
 */
export class ReplyRoutes {
  readonly inbox: string;
  readonly #loop: Subscriber;
  readonly #mode: MqttReplyMode;
  /** Whether messages on this topic reach us anyway. */
  readonly #isSubscribed: (topic: string) => boolean;
  readonly #routes = new Map<string, Route>();
  /** The one that was unused for longest comes first. */
  readonly #byUse = new LinkedList<Route>();
  readonly #byReplyTopic = new Map<string, Route>();
  #inbox: Subscription | undefined;

  constructor(loop: Subscriber, inbox: string, mode: MqttReplyMode, isSubscribed: (topic: string) => boolean) {
    this.#loop = loop;
    this.inbox = inbox;
    this.#mode = mode;
    this.#isSubscribed = isSubscribed;
  }

  /** The broker does not let us have a private inbox. */
  get isInboxRefused(): boolean {
    return this.#inbox?.isRefused === true;
  }

  /**
   * Makes sure that the reply to a request can be received. Each call needs one `leave`.
   *
   * @returns undefined when all is ready; otherwise a promise that rejects when no reply could ever be received
   */
  enter(topic: string): Promise<void> | undefined {
    if (this.#mode === 'private') return waitFor((this.#inbox ??= this.#subscribe(this.inbox)));
    const route = this.#route(topic);
    route.pending++;
    if (route.responder === 'private') return waitFor((this.#inbox ??= this.#subscribe(this.inbox)));
    if (route.subscription === undefined || this.#hasLostLoan(route)) this.#subscribeReplyTopic(route);
    const builtin = route.subscription!;
    if (this.#mode === 'builtin' || route.responder === 'builtin') return waitFor(builtin);
    const inbox = (this.#inbox ??= this.#subscribe(this.inbox));
    if (inbox.isReady && builtin.isReady) return undefined;
    // Either will do: which one the responder uses is not known yet. But both have to be decided first.
    return Promise.allSettled([inbox.ready, builtin.ready]).then(([first, second]) => {
      if (first.status === 'rejected' && second.status === 'rejected') throw first.reason;
    });
  }

  leave(topic: string, timedOut: boolean): void {
    const route = this.#routes.get(topic);
    if (route === undefined) return;
    route.pending--;
    // The responder may have been replaced by one that answers elsewhere.
    if (timedOut && route.responder === 'private') route.responder = 'unknown';
  }

  /** A reply has come: into the inbox, or on the reply topic. */
  learn(topic: string, responder: 'private' | 'builtin'): void {
    const route = this.#routes.get(topic);
    if (route === undefined || this.#mode !== 'auto' || route.responder === responder) return;
    route.responder = responder;
    if (responder === 'private') this.#unsubscribe(route);
  }

  isReplyTopic(topic: string): boolean {
    return this.#byReplyTopic.size > 0 && this.#byReplyTopic.has(topic);
  }

  #route(topic: string): Route {
    let route = this.#routes.get(topic);
    if (route === undefined) {
      if (this.#routes.size >= mostRoutes) this.#evict();
      route = {
        topic,
        replyTopic: `${topic}/reply`,
        responder: 'unknown',
        pending: 0,
        subscription: undefined,
        previous: undefined,
        next: undefined,
      };
      this.#routes.set(topic, route);
    } else this.#byUse.remove(route);
    this.#byUse.push(route);
    return route;
  }

  /** The one that was unused for longest. Routes in use are bounded by the number of pending requests. */
  #evict(): void {
    for (const route of this.#byUse) {
      if (route.pending > 0) continue;
      this.#byUse.remove(route);
      this.#routes.delete(route.topic);
      this.#unsubscribe(route);
      return;
    }
  }

  #subscribeReplyTopic(route: Route): void {
    this.#byReplyTopic.set(route.replyTopic, route);
    if (this.#isSubscribed(route.replyTopic)) {
      // A second subscription would make some brokers send every reply twice, to the handlers too.
      route.subscription = ofHandlers;
      return;
    }
    route.subscription = this.#subscribe(route.replyTopic);
  }

  /** The handlers whose subscription brought the replies are gone. */
  #hasLostLoan(route: Route): boolean {
    return route.subscription === ofHandlers && !this.#isSubscribed(route.replyTopic);
  }

  #unsubscribe(route: Route): void {
    if (route.subscription === undefined) return;
    route.subscription = undefined;
    this.#byReplyTopic.delete(route.replyTopic);
    if (this.#isSubscribed(route.replyTopic)) return;
    // What is left is one subscription that nobody needs; the next reply to it is ignored.
    this.#loop.unsubscribe(route.replyTopic).catch(() => undefined);
  }

  #subscribe(topic: string): Subscription {
    const subscription: Subscription = {
      isReady: false,
      isRefused: false,
      ready: this.#loop.subscribe(topic, { qos: 1 }).then(() => {
        subscription.isReady = true;
      }),
    };
    subscription.ready.catch((error: unknown) => {
      // A refusal will not change; anything else is tried again with the next request.
      if (error instanceof MqttRefusedError) subscription.isRefused = true;
      else this.#drop(topic, subscription);
    });
    return subscription;
  }

  #drop(topic: string, subscription: Subscription): void {
    if (this.#inbox === subscription) this.#inbox = undefined;
    const route = this.#byReplyTopic.get(topic);
    if (route?.subscription !== subscription) return;
    route.subscription = undefined;
    this.#byReplyTopic.delete(topic);
  }
}

function waitFor(subscription: Subscription): Promise<void> | undefined {
  return subscription.isReady ? undefined : subscription.ready;
}
