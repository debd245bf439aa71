import { EventLoop, type EventLoopOptions, type IncomingMessage, type MqttError } from '../../lib/eventloop/index.js';
import { MAX_PACKET_BYTES } from './decoding.js';
import { TOPIC_ALIAS_MAXIMUM } from './packets.js';
import type { SentPacket } from './sent.js';
import type { Version } from './specification.js';
import { ManualClock, Wire } from './wire.js';

const never = new Promise<never>(() => {});
const handlerError = new Error('a handler that fails');

/** The clients that an input can meet. */
export const profiles: readonly EventLoopOptions[] = [
  {},
  { receiveMaximum: 3 },
  { acknowledge: 'manual', receiveMaximum: 3 },
  { acknowledge: 'on-receive', incomingOverflow: 'drop-newest', incomingCapacity: 1 },
  { incomingCapacity: 1, inflight: 1 },
  { acknowledge: 'manual', receiveMaximum: 1, incomingCapacity: 1, inflight: 2 },
];

const RETRY_MS = 1;

const common = {
  url: 'mqtt://fuzz:1883',
  clientId: 'fuzz',
  clean: false,
  keepAliveSeconds: 0,
  connectTimeoutMs: 3_600_000,
  maxPacketBytes: MAX_PACKET_BYTES,
  topicAliasMaximum: TOPIC_ALIAS_MAXIMUM,
  reconnect: { policy: 'always', minDelayMs: RETRY_MS, maxDelayMs: RETRY_MS, jitter: 'none' },
} satisfies EventLoopOptions;

/** One event loop with requests of every kind under way, and everything that can be seen of it. */
export class FuzzClient {
  readonly clock = new ManualClock();
  readonly loop: EventLoop;
  readonly delivered: string[] = [];
  readonly problems: string[] = [];
  readonly wires: Wire[] = [];
  /** `connected` and `disconnected` events, as they came. */
  readonly history: ('connected' | MqttError)[] = [];
  /** When it wants to connect again after its last end, if at all. */
  retriesInMs: number | undefined;
  /** What it had sent before the input but for CONNACK. */
  sentBefore: readonly SentPacket[] = [];
  requests = 0;
  settled = 0;
  /** Handlers that were called and have not settled, by the handlers' own count. */
  unsettled = 0;
  /** From now on handlers never settle, so that messages stay unacknowledged. */
  holdsAll = false;
  #later: (() => void)[] = [];

  constructor(
    readonly version: Version,
    readonly profile: number,
  ) {
    const options = {
      ...common,
      ...profiles[profile % profiles.length],
      protocolVersion: version,
      ...(version === 5 ? { sessionExpirySeconds: 60 } : {}),
    };
    this.loop = new EventLoop(options, { clock: this.clock, random: () => 0.5, dial: () => this.#dial() });
    this.loop.onMessage((message) => this.#handle(message));
    this.loop.on('connected', () => this.history.push('connected'));
    this.loop.on('disconnected', ({ cause, willRetryInMs }) => {
      this.history.push(cause);
      this.retriesInMs = willRetryInMs;
    });
    for (const qos of [1, 2, 0, 2, 1, 2] as const) this.#requested(this.loop.publish('out', `${qos}`, { qos }));
    this.#requested(this.loop.subscribe({ 'in/+': { qos: 2 }, all: { qos: 1 } }));
    this.#requested(this.loop.unsubscribe('old'));
    this.loop.start().catch(() => {});
  }

  /** The present or last connection. */
  get wire(): Wire {
    return this.wires.at(-1)!;
  }

  /** Why the last connection or attempt ended; undefined while there is one. */
  get cause(): MqttError | undefined {
    const last = this.history.at(-1);
    return last === 'connected' ? undefined : last;
  }

  feed(chunks: Iterable<Buffer>): void {
    this.#guard(() => this.wire.feed(chunks));
  }

  /** What happens later happens now: writes complete, handlers settle. */
  turn(): void {
    const later = this.#later;
    this.#later = [];
    this.#guard(() => {
      for (const settle of later) settle();
      for (const wire of this.wires.slice(-2)) wire.turn();
    });
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.problems.push(`threw: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }

  #dial(): Promise<Wire['asStream']> {
    const wire = new Wire((problem) => this.problems.push(problem));
    this.wires.push(wire);
    return Promise.resolve(wire.asStream);
  }

  #requested(request: Promise<unknown>): void {
    this.requests++;
    const settle = (): void => void this.settled++;
    request.then(settle, settle);
  }

  /** What a handler does depends on the message alone, so that it cannot depend on chunks. */
  #handle(message: IncomingMessage): unknown {
    if (this.wire.hasEnded) this.problems.push('a message after the end');
    this.delivered.push(`${message.qos} ${message.topic} ${message.payload.toString('latin1')}`);
    this.unsettled++;
    if (this.holdsAll) return never;
    const action = this.profile === 0 ? 0 : (message.payload[0] ?? 0) % 6;
    if (action % 2 === 0) message.acknowledge(action === 2 ? 0x80 : 0);
    switch (action) {
      case 3:
        this.unsettled--;
        throw handlerError;
      case 4:
        return never;
      case 5:
        return new Promise((resolve, reject) => {
          this.#later.push(() => {
            this.unsettled--;
            message.acknowledge();
            if (message.dup) reject(handlerError);
            else resolve(undefined);
          });
        });
      default:
        this.unsettled--;
    }
    return undefined;
  }
}
