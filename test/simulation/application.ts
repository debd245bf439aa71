import type { IncomingMessage } from '../../lib/eventloop/messages.js';
import { keyOf, payloadOf } from './packets.js';
import type { ClientOptions, HandlerConfig } from './program.js';
import type { World } from './world.js';

/** The consumer of incoming messages: quick, slow, failing, and publishing while it handles. */
export class Application {
  readonly #world: World;
  readonly #config: HandlerConfig;
  readonly #mode: 'on-receive' | 'after-handler' | 'manual';
  /** Handlers at work. */
  #busy = 0;
  #busyQos0 = 0;
  #calls = 0;

  constructor(world: World, config: HandlerConfig, mode: 'on-receive' | 'after-handler' | 'manual') {
    this.#world = world;
    this.#config = config;
    this.#mode = mode;
    if (config.consumer === 'handler') world.loop.onMessage((message) => this.#handle(message));
    else void this.#iterate();
  }

  /** Handlers that have not settled. */
  get busy(): number {
    return this.#busy + this.#busyQos0;
  }

  checkBounds({ incomingCapacity, receiveMaximum }: ClientOptions): void {
    if (this.#busyQos0 > incomingCapacity) {
      this.#world.report(
        'memory is bounded',
        `${this.#busyQos0} QoS 0 messages are handled, bound ${incomingCapacity}`,
      );
    }
    const isLimited = this.#mode === 'after-handler' || this.#mode === 'manual';
    if (isLimited && this.#busy > receiveMaximum) {
      this.#world.report('memory is bounded', `${this.#busy} QoS 1/2 messages are handled, bound ${receiveMaximum}`);
    }
  }

  async #iterate(): Promise<void> {
    for await (const message of this.#world.loop.messages()) {
      await this.#handle(message);
    }
  }

  #handle(message: IncomingMessage): unknown {
    const { messages, random, network, clock } = this.#world;
    const key = keyOf(message.payload);
    const link = network.current!.number;
    messages.delivered(key, this.#config.consumer === 'handler' ? link : -++this.#calls);
    const luck = random.stream(`handler/${key}`);
    // An iterator has no way to fail.
    const fails = this.#config.consumer === 'handler' && luck.chance(this.#config.fails);
    this.#world.note(`handler gets ${key} (QoS ${message.qos})${fails ? ' and fails' : ''}`);
    const acknowledge = (): void => {
      messages.done(key);
      if (this.#mode === 'manual') message.acknowledge();
    };
    if (luck.chance(this.#config.synchronous)) {
      if (fails) this.#fail(key);
      return acknowledge();
    }
    this.#count(message, 1);
    const work = luck.chance(this.#config.replies)
      ? this.#reply(key, link)
      : new Promise<void>((resolve) => clock.schedule(luck.between(this.#config.takesMs), resolve));
    return work
      .then(() => {
        if (fails) this.#fail(key);
        acknowledge();
      })
      .finally(() => {
        this.#count(message, -1);
        this.#world.note(`handler of ${key} is done`);
      });
  }

  #fail(key: string): never {
    this.#world.messages.done(key);
    this.#world.messages.failed(key);
    throw new Error(`the handler of ${key} fails on purpose`);
  }

  #count({ qos }: IncomingMessage, by: number): void {
    if (qos === 0) this.#busyQos0 += by;
    else this.#busy += by;
  }

  /** A handler that publishes and waits must never block itself. */
  async #reply(key: string, link: number): Promise<void> {
    const { loop, publishes } = this.#world;
    const replyKey = `r.${key}.${link}.${++this.#calls}`;
    const record = publishes.offered(replyKey, 'replies', 8, 1);
    await loop.publish('replies', payloadOf(replyKey, 8), { qos: 1 }).then(
      () => publishes.succeeded(record),
      (error) => publishes.failed(record, error),
    );
  }
}
