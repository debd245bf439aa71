import { EventLoop, type EventLoopOptions, type IncomingMessage } from 'nestjs-rumqtt/eventloop';
import { onTestFinished } from 'vitest';
import { Inbox } from '../fixtures/connected.js';
import { TcpProxy } from '../fixtures/tcp-proxy.js';
import type { Broker, RunningBroker } from './brokers.js';

/** Another run against a broker that remembers must not meet the last one's sessions. */
let visits = 0;

/** One test at one broker, which it shares with other tests: topics, client identifiers and connections are its own. */
export class Visit {
  readonly broker: Broker;
  readonly running: RunningBroker;
  /** Every topic and client identifier begins with it. */
  readonly prefix: string;

  constructor(broker: Broker, running: RunningBroker, feature: string) {
    this.broker = broker;
    this.running = running;
    this.prefix = `${feature}${++visits}`;
  }

  topic(rest: string): string {
    return `${this.prefix}/${rest}`;
  }

  /** A started loop that ends with the test. */
  async connect(options: EventLoopOptions = {}): Promise<EventLoop> {
    const loop = new EventLoop({
      url: this.running.url,
      protocolVersion: this.broker.protocolVersion,
      reconnect: { minDelayMs: 50, maxDelayMs: 500 },
      ...options,
      ...(options.clientId === undefined ? {} : { clientId: `${this.prefix}-${options.clientId}` }),
    });
    onTestFinished(async () => void (await loop.shutdown({ drainTimeoutMs: 0 })));
    await loop.start();
    return loop;
  }

  /** A link that the test can break. */
  async proxy({ port }: { readonly port: number } = this.running): Promise<TcpProxy> {
    const proxy = await TcpProxy.start(port);
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    return proxy;
  }

  /** What the loop receives on topics of this test. */
  async subscribed(loop: EventLoop, filter: string, qos: 0 | 1 | 2 = 1): Promise<Inbox> {
    const inbox = new Inbox(loop);
    await loop.subscribe(this.topic(filter), { qos });
    return inbox;
  }

  /** All messages, when this one is among them. */
  async until(inbox: Inbox, text: string): Promise<readonly IncomingMessage[]> {
    while (!this.texts(inbox.messages).includes(text)) await inbox.until(inbox.messages.length + 1);
    return inbox.messages;
  }

  /** Messages without the prefix of the test: `topic payload`. */
  texts(messages: readonly IncomingMessage[]): string[] {
    return messages.map(({ topic, payload }) => `${topic.replace(`${this.prefix}/`, '')} ${payload.toString()}`);
  }
}

/** The connection after the present one. */
export function nextSession(loop: EventLoop): Promise<{ readonly sessionPresent: boolean }> {
  return new Promise((resolve) => {
    const off = loop.on('connected', (event) => {
      off();
      resolve(event);
    });
  });
}
