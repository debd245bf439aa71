import type { Credentials } from '../../lib/eventloop/credentials/credentials.js';
import { EventLoop } from '../../lib/eventloop/event-loop.js';
import { Application } from './application.js';
import { ModelBroker, type BrokerObserver } from './broker.js';
import { SimulationClock } from './clock.js';
import { Network, type Link, type Observer } from './network.js';
import { ConnectionOracle } from './oracle/connections.js';
import { MessageOracle } from './oracle/messages.js';
import { PublishOracle } from './oracle/publishes.js';
import { SubscriptionOracle } from './oracle/subscriptions.js';
import { ThrottleOracle } from './oracle/throttle.js';
import { WireMemory, WireOracle } from './oracle/wire.js';
import { describe, type WirePacket } from './packets.js';
import type { Program, Weather } from './program.js';
import { Random } from './random.js';

/** Something that must not be. */
export interface Failure {
  readonly invariant: string;
  readonly detail: string;
  readonly atMs: number;
}

/** Client, network, broker and judges of one run. */
export class World implements Observer {
  readonly clock = new SimulationClock();
  readonly random: Random;
  readonly broker: ModelBroker;
  readonly network: Network;
  readonly loop: EventLoop;
  readonly application: Application;
  readonly publishes: PublishOracle;
  readonly messages: MessageOracle;
  readonly subscriptions: SubscriptionOracle;
  readonly throttle: ThrottleOracle;
  readonly connections: ConnectionOracle;
  readonly log: string[] = [];
  weather: Weather;
  failure: Failure | undefined;
  packets = 0;
  endsWithWill = false;
  #readingPaused = false;
  readonly #program: Program;
  readonly #isLogging: boolean;
  readonly #wires = new Map<Link, WireOracle>();
  readonly #wireMemory = new WireMemory();

  constructor(program: Program, isLogging: boolean) {
    this.#program = program;
    this.#isLogging = isLogging;
    this.random = new Random(`run/${program.seed}`);
    this.weather = program.weather;
    const { clock, report } = this;
    const { options } = program;
    this.publishes = new PublishOracle(clock, options, report);
    this.publishes.circumstances.limited = Object.keys(program.broker.limits).length > 0;
    this.messages = new MessageOracle(options.acknowledge ?? 'after-handler', report);
    this.subscriptions = new SubscriptionOracle(report);
    this.throttle = new ThrottleOracle(clock, options.throttle, report);
    this.connections = new ConnectionOracle(clock, options, report);
    this.broker = new ModelBroker(clock, this.random.stream('broker'), program.broker, this.#brokerObserver());
    this.network = new Network(clock, this.random.stream('network'), () => this.weather, this.broker, this);
    const credentials = (): Credentials => ({
      username: 'client',
      expiresAt: clock.client.epochMs() + program.credentialsLastMs!,
    });
    this.loop = new EventLoop(program.credentialsLastMs === undefined ? options : { ...options, credentials }, {
      clock: clock.client,
      random: this.random.stream('client').next,
      dial: this.network.dial,
    });
    this.#listen();
    this.application = new Application(this, program.handlers, options.acknowledge ?? 'after-handler');
  }

  readonly report = (invariant: string, detail: string): void => {
    this.note(`!!! ${invariant}: ${detail}`);
    this.failure ??= { invariant, detail, atMs: this.clock.nowMs };
  };

  /** @param line a function where the words cost something */
  note(line: string | (() => string)): void {
    if (!this.#isLogging) return;
    const text = typeof line === 'string' ? line : line();
    this.log.push(`${this.clock.nowMs.toFixed(1).padStart(9)} ms  ${text}`);
  }

  #listen(): void {
    const { loop, connections } = this;
    loop.on('connected', (event) => {
      this.note(`event connected, ${event.sessionPresent ? 'session present' : 'no session'}`);
      this.subscriptions.answered();
      connections.connected(event);
    });
    loop.on('disconnected', (event) => {
      this.note(`event disconnected, again in ${event.willRetryInMs ?? 'no'} ms: ${event.cause.message}`);
      const link = this.network.current;
      connections.disconnected(event, link);
      if (link !== undefined) this.wire(link).isOver = true;
    });
    loop.on('closed', () => {
      this.note('event closed');
      this.publishes.circumstances.closing = true;
      connections.closed();
    });
  }

  #brokerObserver(): BrokerObserver {
    const { publishes, messages, clock } = this;
    return {
      published: (key, topic) => publishes.published(key, topic),
      arrived: (key, session) => publishes.arrived(key, session.generation),
      released: (key) => publishes.released(key),
      queued: (message, session) => messages.queued(message, session.generation),
      acknowledged: (message) => messages.acknowledged(message),
      silentClient: (link) =>
        this.report(
          'a living client is heard',
          `link ${link.number} was silent for 1.5 x keep alive at ${clock.nowMs}`,
        ),
    };
  }

  /** The judge of a link. */
  wire(link: Link): WireOracle {
    const known = this.#wires.get(link);
    if (known !== undefined) return known;
    const wire = new WireOracle(link, this.#wireMemory, this.#program.options, this, this.report);
    this.#wires.set(link, wire);
    return wire;
  }

  dialled(): void {
    this.note('client dials');
    this.connections.dialled();
  }

  clientSent(link: Link, packet: WirePacket): void {
    this.packets++;
    this.note(() => `link ${link.number} client writes ${describe(packet)}`);
    this.wire(link).sent(packet);
  }

  clientReceived(link: Link, packet: WirePacket): void {
    this.packets++;
    this.note(() => `link ${link.number} client reads ${describe(packet)}`);
    this.wire(link).received(packet);
  }

  clientClosed(link: Link, how: 'ended' | 'destroyed'): void {
    this.note(`link ${link.number} ${how} by the client`);
    if (how === 'ended') this.wire(link).ended(this.endsWithWill);
  }

  clientBroke(link: Link, problem: string): void {
    this.report('bytes are packets', `link ${link.number}: the client ${problem}`);
  }

  /** What has to hold at every moment. */
  check(): void {
    this.publishes.checkTimeouts();
    if (!this.clock.wasClientAtWork) return this.#checkLink();
    const { options } = this.#program;
    const stats = this.loop.stats();
    this.#checkBound('queued', stats.queued, options.requestCapacity);
    this.#checkBound('queuedBytes', stats.queuedBytes, options.requestCapacityBytes);
    this.#checkBound('waiting', stats.waiting, options.overflow === 'wait' ? options.maxWaiters : 0);
    if (stats.inflight < 0 || stats.inflight > options.inflight) {
      this.report(
        'the window is never exceeded',
        `stats().inflight is ${stats.inflight}, inflight ${options.inflight}`,
      );
    }
    this.application.checkBounds(options);
    this.#readingPaused = stats.readingPaused;
    this.#checkLink();
  }

  #checkLink(): void {
    const link = this.network.current;
    this.connections.check(link, link !== undefined && this.wire(link).isAccepted, this.#readingPaused);
  }

  #checkBound(gauge: string, value: number, bound: number): void {
    if (value > bound || value < 0) this.report('memory is bounded', `${gauge} is ${value}, bound ${bound}`);
  }
}
