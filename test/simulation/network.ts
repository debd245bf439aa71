import { Duplex } from 'node:stream';
import { untilAborted } from '../../lib/eventloop/promises.js';
import type { Dial } from '../../lib/eventloop/network/dial.js';
import type { SimulationClock } from './clock.js';
import { ClientPackets, encode, type WirePacket } from './packets.js';
import { Pipe } from './pipe.js';
import type { Weather } from './program.js';
import type { Random } from './random.js';

/** The broker's end of all links. */
export interface BrokerEnd {
  /** What becomes of a dial now. */
  readonly reachable: 'yes' | 'refuses' | 'hangs';
  received(link: Link, packet: WirePacket): void;
  /** The link is gone, as far as the broker can tell. */
  closed(link: Link): void;
}

/** Whoever looks over the client's shoulder. */
export interface Observer {
  clientSent(link: Link, packet: WirePacket): void;
  clientReceived(link: Link, packet: WirePacket): void;
  /** `ended`: after its last packet, on purpose. `destroyed`: at once. */
  clientClosed(link: Link, how: 'ended' | 'destroyed'): void;
  clientBroke(link: Link, problem: string): void;
}

/** The client's socket: bytes arrive in later events, writes complete when the kernel has room, resets are ECONNRESET. */
class ClientSocket extends Duplex {
  readonly #link: Link;
  /** Arrived and not taken by the reader; null is the end of the stream. */
  readonly #arrived: (Buffer | null)[] = [];
  #wantsMore = false;

  constructor(link: Link) {
    super({ allowHalfOpen: false, readableHighWaterMark: 1 });
    this.#link = link;
  }

  arrive(piece: Buffer | null): void {
    this.#arrived.push(piece);
    this.#handOver();
  }

  #handOver(): void {
    while (!this.destroyed && this.#arrived.length > 0 && (this.#wantsMore || this.#arrived[0] === null)) {
      const piece = this.#arrived.shift()!;
      if (piece !== null) this.#link.handedOver(piece.length);
      this.#wantsMore = this.push(piece);
    }
  }

  override _read(): void {
    this.#wantsMore = true;
    this.#handOver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#link.written(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#link.clientEnds();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#link.clientVanishes();
    callback(error);
  }
}

/** One network connection between client and broker. */
export class Link {
  readonly socket: ClientSocket;
  readonly up: Pipe;
  readonly down: Pipe;
  isOpenAtClient = true;
  isOpenAtBroker = true;
  /** Neither end hears the other, and nobody tells them. */
  silentSinceMs: number | undefined;
  wasFrozen = false;
  readonly #packets = new ClientPackets();
  readonly #downPackets: { readonly packet: WirePacket; readonly end: number }[] = [];
  #downSent = 0;
  #handedOver = 0;
  /** For life: nothing drains the buffer of a dead link. */
  readonly #sendBufferBytes: number;
  #completeWrite: (() => void) | undefined;

  constructor(
    readonly number: number,
    readonly clock: SimulationClock,
    readonly random: Random,
    weather: () => Weather,
    readonly broker: BrokerEnd,
    readonly observer: Observer,
  ) {
    this.socket = new ClientSocket(this);
    this.up = new Pipe(clock, random.stream('up'), weather, {
      arrived: (_piece, total) => {
        for (const packet of this.#packets.upTo(total)) if (this.isOpenAtBroker) broker.received(this, packet);
        this.#mayCompleteWrite();
      },
      ended: () => this.#brokerLearns(),
      cut: (how) => this.break(how),
    });
    this.down = new Pipe(clock, random.stream('down'), weather, {
      arrived: (piece) => this.socket.arrive(piece),
      ended: () => this.socket.arrive(null),
      cut: (how) => this.break(how),
    });
    this.#weather = weather;
    this.#sendBufferBytes = weather().sendBufferBytes;
  }

  readonly #weather: () => Weather;

  get version(): 4 | 5 {
    return this.#packets.version;
  }

  // ---- the client's side

  written(chunk: Buffer, callback: (error?: Error | null) => void): void {
    // A kernel takes the bytes at some time before the write completes; until then they must not change.
    const copy = Buffer.from(chunk);
    try {
      for (const packet of this.#packets.push(copy)) this.observer.clientSent(this, packet);
    } catch (error) {
      this.observer.clientBroke(this, `wrote bytes that are no packets: ${(error as Error).message}`);
    }
    this.up.send(copy);
    this.#completeWrite = () => {
      if (!chunk.equals(copy)) this.observer.clientBroke(this, 'changed a buffer while it was being written');
      callback();
    };
    if (this.random.chance(this.#weather().slowWriteChance)) {
      this.clock.schedule(this.random.between([0, 30]), () => this.#mayCompleteWrite());
    } else this.#mayCompleteWrite();
  }

  #mayCompleteWrite(): void {
    const complete = this.#completeWrite;
    // The kernel of a client that hears nothing does not know that the far end is gone.
    const isRefused = this.up.isClosed && (this.silentSinceMs === undefined || !this.isOpenAtClient);
    if (complete === undefined || (!isRefused && this.up.unreadBytes > this.#sendBufferBytes)) return;
    this.#completeWrite = undefined;
    complete();
  }

  handedOver(bytes: number): void {
    this.#handedOver += bytes;
    while (this.#downPackets.length > 0 && this.#downPackets[0]!.end <= this.#handedOver) {
      this.observer.clientReceived(this, this.#downPackets.shift()!.packet);
    }
  }

  clientEnds(): void {
    this.observer.clientClosed(this, 'ended');
    this.up.end();
  }

  clientVanishes(): void {
    if (!this.isOpenAtClient) return;
    this.isOpenAtClient = false;
    this.observer.clientClosed(this, 'destroyed');
    this.down.close();
    if (this.random.chance(0.5)) this.up.end();
    else {
      this.up.close();
      if (this.silentSinceMs === undefined) this.#tellBroker();
    }
    this.#mayCompleteWrite();
  }

  // ---- the broker's side

  send(packet: WirePacket): void {
    if (!this.isOpenAtBroker) return;
    const bytes = encode(packet, this.version);
    this.#downSent += bytes.length;
    this.#downPackets.push({ packet, end: this.#downSent });
    this.down.send(bytes);
  }

  /** What was sent still arrives. */
  brokerCloses(): void {
    this.isOpenAtBroker = false;
    this.up.close();
    this.down.end();
    this.#mayCompleteWrite();
  }

  #brokerLearns(): void {
    if (!this.isOpenAtBroker) return;
    this.brokerCloses();
    this.broker.closed(this);
  }

  #tellBroker(): void {
    this.clock.schedule(this.random.between([0, 200]), () => this.#brokerLearns());
  }

  // ---- accidents

  /** Both ends lose it; what was on the way is lost. */
  break(how: 'reset' | 'fin'): void {
    this.up.close();
    this.down.close();
    this.#mayCompleteWrite();
    this.clock.schedule(this.random.between([0, 20]), () => {
      if (how === 'fin') this.socket.arrive(null);
      else this.vanish();
    });
    this.#tellBroker();
  }

  /** The client learns at once that it is gone. */
  vanish(): void {
    this.socket.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  }

  fallSilent(): void {
    this.silentSinceMs ??= this.clock.nowMs;
    this.up.isSilent = this.down.isSilent = true;
  }

  freezeBroker(forMs: number): void {
    this.wasFrozen = true;
    this.up.freeze();
    this.clock.schedule(forMs, () => this.up.thaw());
  }
}

/** Makes links, and knows them all. */
export class Network {
  readonly links: Link[] = [];
  /** Dials that have neither succeeded nor failed. */
  pendingDials = 0;
  dials = 0;
  readonly #clock: SimulationClock;
  readonly #random: Random;
  readonly #weather: () => Weather;
  readonly #broker: BrokerEnd;
  readonly #observer: Observer & { dialled(): void };

  constructor(
    clock: SimulationClock,
    random: Random,
    weather: () => Weather,
    broker: BrokerEnd,
    observer: Observer & { dialled(): void },
  ) {
    this.#clock = clock;
    this.#random = random;
    this.#weather = weather;
    this.#broker = broker;
    this.#observer = observer;
  }

  /** The present or last link. */
  get current(): Link | undefined {
    return this.links.at(-1);
  }

  readonly dial: Dial = async (_server, signal) => {
    const random = this.#random.stream(++this.dials);
    this.#observer.dialled();
    this.pendingDials++;
    try {
      const { reachable } = this.#broker;
      if (reachable === 'hangs') return await untilAborted(new Promise<never>(() => {}), signal);
      await untilAborted(
        new Promise<void>((resolve) => this.#clock.schedule(random.between(this.#weather().delayMs), resolve)),
        signal,
      );
      if (reachable === 'refuses') throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      const link = new Link(this.dials, this.#clock, random, this.#weather, this.#broker, this.#observer);
      this.links.push(link);
      return link.socket;
    } finally {
      this.pendingDials--;
    }
  };
}
