import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncomingMessage } from '../eventloop/messages.js';
import type { MqttDecodeError } from '../mqtt.errors.js';
import type { MqttServer } from '../mqtt.server.js';
import type { HandlerDiagnostic, HandlerOutcome } from '../settlement/handler-diagnostics.js';
import type { MemoryBroker, MemoryPublishOptions } from './memory-broker.js';
import { toPayload, type PublishedMessage } from './memory-message.js';
import type { MemoryDelivery } from './memory-session.js';
import { settleTurns } from './settle.js';
import { exchangeRequest, type TestReply, type TestRequestOptions } from './test-request.js';

const handlerChannel = 'nestjs-rumqtt:handler';

/** Between two looks at a handler that takes real time. */
const POLL_MS = 2;

/** One call of a handler. @publicApi */
export interface TestHandlerRun {
  /** As declared. */
  readonly pattern: string;
  readonly kind: 'event' | 'message';
  /** From 1. */
  readonly attempt: number;
  readonly outcome: HandlerOutcome;
  /** What was thrown, as Nest's exception filters left it. */
  readonly error: unknown;
}

/**
 * What became of a delivered message.
 *
 * `acknowledged`, `refused` (with its reason code), `dead-lettered`, `unacknowledged` (left to the broker, or acknowledged only after
 * another message that is), `unmatched` (nobody subscribes, or no handler matches). Of QoS 0: `delivered`.
 *
 * @publicApi
 */
export type TestOutcome = 'acknowledged' | 'refused' | 'dead-lettered' | 'unacknowledged' | 'unmatched' | 'delivered';

/** @publicApi */
export interface TestDelivery {
  readonly outcome: TestOutcome;
  /** Of the acknowledgement; undefined when there is none. */
  readonly reasonCode: number | undefined;
  /** The calls of handlers for this topic since the delivery, in the order in which they ended. */
  readonly runs: readonly TestHandlerRun[];
  /** The most that any handler has made; 0 when none has run. */
  readonly attempts: number;
  readonly deadLetter: PublishedMessage | undefined;
  /** Why a handler was not called: its codec cannot read the payload. `outcome` says what was done about it. */
  readonly undecodable: MqttDecodeError | undefined;
}

/**
 * Delivers messages to the handlers of an application and tells what became of them.
 *
 * ```ts
 * const harness = new MqttTestHarness(broker, app.get(MqttServer));
 * const { outcome } = await harness.deliver('plants/7/temperature', 95);
 * ```
 *
 * @publicApi
 */
export class MqttTestHarness {
  readonly broker: MemoryBroker;
  readonly #server: MqttServer;
  readonly #guardMs: number;

  /**
   * @param broker the one that the application is connected to
   * @param options.guardMs Real time that a delivery or a reply may take before it fails with an explanation. Default 4 000.
   */
  constructor(broker: MemoryBroker, server: MqttServer, options: { readonly guardMs?: number | undefined } = {}) {
    this.broker = broker;
    this.#server = server;
    this.#guardMs = options.guardMs ?? 4_000;
  }

  /**
   * Delivers a message as another client would send it, and waits until the application has settled it, retries included: advance
   * the clock for those. Bytes and text go as they are, nothing as an empty payload, everything else as JSON.
   *
   * @throws MqttArgumentError; Error that says what is not done when it takes longer than `guardMs` of real time
   */
  async deliver(topic: string, data?: unknown, options: MemoryPublishOptions = {}): Promise<TestDelivery> {
    const payload = toPayload(data);
    const runs: TestHandlerRun[] = [];
    let isUnmatched = false;
    let undecodable: MqttDecodeError | undefined;
    const isIt = (message: IncomingMessage): boolean => message.topic === topic && message.payload.equals(payload);
    const listeners = [
      this.#server.on('unmatched', (message) => (isUnmatched ||= isIt(message))),
      this.#server.on('undecodable', ({ message, error }) => (undecodable ??= isIt(message) ? error : undefined)),
    ];
    const listener = (event: unknown): void => {
      const { server, topic: where, pattern, kind, attempt, outcome, error } = event as HandlerDiagnostic;
      if (server === this.#server && where === topic) runs.push({ pattern, kind, attempt, outcome, error });
    };
    subscribe(handlerChannel, listener);
    const publishedBefore = this.broker.published.length;
    try {
      const clientId = this.#clientId;
      const delivery = this.broker.publish(topic, payload, options).find((one) => one.clientId === clientId);
      if (delivery !== undefined) await this.#settled(delivery);
      const deadLetter = this.broker.published.slice(publishedBefore).find((message) => isDeadLetterOf(message, topic));
      return {
        outcome: delivery === undefined || isUnmatched ? 'unmatched' : outcomeOf(delivery, deadLetter),
        reasonCode: delivery === undefined || delivery.qos === 0 ? undefined : delivery.reasonCode,
        runs,
        attempts: Math.max(0, ...runs.map(({ attempt }) => attempt)),
        deadLetter,
        undecodable,
      };
    } finally {
      for (const forget of listeners) forget();
      unsubscribe(handlerChannel, listener);
    }
  }

  /**
   * Sends a request as a service with Nest's built-in transport does, to the topic of a string pattern, and waits for the end of
   * the reply. Requests in any other form: use the client of the application.
   *
   * @throws MqttArgumentError; Error when there is no end within `guardMs` of real time
   */
  request(topic: string, data: unknown, options: TestRequestOptions = {}): Promise<TestReply> {
    return exchangeRequest(this.broker, topic, data, { ...options, guardMs: options.guardMs ?? this.#guardMs });
  }

  /**
   * Waits until no handler runs and none waits for its turn, a retry or `context.acknowledge()`: after `broker.publish`, for
   * example.
   *
   * @throws Error when that takes longer than `guardMs` of real time
   */
  async idle(): Promise<void> {
    await this.#until(() => this.#server.stats().running === 0);
  }

  get #clientId(): string | undefined {
    return this.#server.unwrap().negotiated?.clientId;
  }

  /** Acknowledged, or left alone by handlers that are done. */
  async #settled(delivery: MemoryDelivery): Promise<void> {
    const isAcknowledged = (): boolean => delivery.qos > 0 && delivery.reasonCode !== undefined;
    await this.#until(() => isAcknowledged() || this.#server.stats().running === 0);
    // The acknowledgement is on its way.
    if (!isAcknowledged()) await settleTurns();
  }

  async #until(isDone: () => boolean): Promise<void> {
    const startedMs = performance.now();
    await settleTurns();
    while (!isDone()) {
      if (performance.now() - startedMs > this.#guardMs) throw this.#notDone();
      await sleep(POLL_MS);
      await settleTurns();
    }
  }

  #notDone(): Error {
    const { running, waitingRetries } = this.#server.stats();
    const retries =
      waitingRetries > 0 ? `, ${waitingRetries} of them waiting for a retry: advance the clock while you wait` : '';
    return new Error(`${running} handler runs are not done after ${this.#guardMs} ms${retries}`);
  }
}

function outcomeOf({ qos, reasonCode }: MemoryDelivery, deadLetter: PublishedMessage | undefined): TestOutcome {
  if (deadLetter !== undefined) return 'dead-lettered';
  if (qos === 0) return 'delivered';
  if (reasonCode === undefined) return 'unacknowledged';
  return reasonCode >= 0x80 ? 'refused' : 'acknowledged';
}

/** MQTT 5 says it in user properties, MQTT 3.1.1 in an envelope. */
function isDeadLetterOf({ properties, data }: PublishedMessage, topic: string): boolean {
  if (properties?.userProperties !== undefined) return properties.userProperties['dead-letter-topic'] === topic;
  const isEnvelope = typeof data === 'object' && data !== null && 'handler' in data && 'attempts' in data;
  return isEnvelope && (data as { topic?: unknown }).topic === topic;
}
