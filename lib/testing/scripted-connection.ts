import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Packet } from 'mqtt-packet';
import { ConnectionStream } from './connection-stream.js';
import { guarded, Mailbox } from './mailbox.js';
import { decodePacket, encodePacket, type ProtocolVersion } from './packet-codec.js';
import { FramingError, PacketFramer } from './packet-framer.js';
import {
  describePacket,
  packetId,
  type AcknowledgementFields,
  type ConnackOptions,
  type DisconnectFields,
  type PacketName,
  type PacketReference,
  type PublishFields,
  type ReceivedPacket,
  type SubackFields,
} from './packets.js';
import { ProtocolChecker } from './protocol-checker.js';
import type { ScriptedConnectionHost, Violation } from './scripted-connection-host.js';
import { settleTurns } from './settle.js';
import type { VirtualClock } from './virtual-clock.js';

/** How many received packets an error message lists. */
const MOST_LISTED = 20;

/** Bytes on a real network may need a moment that event loop turns do not cover. */
const NETWORK_GRACE_MS = 20;

/**
 * One client's link to a {@link ScriptedBroker}. Nothing is answered unless the test says so. Every packet is checked
 * against the specification; once the client has broken a rule, waits and assertions fail and say which.
 *
 * @publicApi
 */
export class ScriptedConnection {
  /** Every packet so far, except under `ScriptedBroker.serve`. */
  readonly received: ReceivedPacket[] = [];
  readonly violations: Violation[] = [];
  /** Answer every PINGREQ. Pings then show up in `received`, but not in `next()`. */
  autoPing: boolean;
  readonly #host: ScriptedConnectionHost;
  readonly #name: string;
  readonly #overNetwork: boolean;
  readonly #stream: ConnectionStream;
  readonly #framer = new PacketFramer();
  readonly #checker: ProtocolChecker;
  readonly #inbox = new Mailbox<ReceivedPacket>();
  readonly #clientClosed: Promise<void>;
  #current: ReceivedPacket | undefined;
  #connectPacket: ReceivedPacket<'connect'> | undefined;
  #handler: ((packet: ReceivedPacket) => void) | undefined;
  #garbled = false;

  /** @internal */
  constructor(stream: Duplex, name: string, overNetwork: boolean, host: ScriptedConnectionHost) {
    this.#host = host;
    this.#name = name;
    this.#overNetwork = overNetwork;
    this.autoPing = host.autoPing;
    this.#checker = new ProtocolChecker(host.sessions, (rule, problem) => this.#violate(rule, problem));
    let closed = (): void => undefined;
    this.#clientClosed = new Promise((resolve) => (closed = resolve));
    this.#stream = new ConnectionStream(stream, {
      data: (chunk) => this.#receive(chunk),
      closed: () => {
        closed();
        this.#inbox.close(() => this.#failure('the connection is closed'));
      },
    });
  }

  /** The CONNECT of this connection, once it has arrived. */
  get connectPacket(): ReceivedPacket<'connect'> | undefined {
    return this.#connectPacket;
  }

  /** As CONNECT said; 4 before it. */
  get protocolVersion(): ProtocolVersion {
    return this.#checker.protocolVersion;
  }

  /** Neither side has closed the link. */
  get open(): boolean {
    return this.#stream.open;
  }

  /** Bytes sent that the client has not taken: stays above 0 while the client does not read. */
  get backlogBytes(): number {
    return this.#stream.backlogBytes;
  }

  // ---- waiting for the client

  /** Reads CONNECT. */
  connect(): Promise<ReceivedPacket<'connect'>> {
    return this.next('connect');
  }

  /** The next packet that no `next()` has returned yet, in the order of arrival. Fails when it is not a `name`. */
  async next<C extends PacketName = PacketName>(name?: C): Promise<ReceivedPacket<C>> {
    this.assertClean();
    const expected = name?.toUpperCase() ?? 'a packet';
    const { guardMs } = this.#host;
    const packet = await this.#inbox.take(guardMs, () => this.#failure(`no ${expected} came within ${guardMs} ms`));
    if (name && packet.cmd !== name) throw this.#failure(`expected ${expected}, but got ${describePacket(packet)}`);
    return packet as ReceivedPacket<C>;
  }

  /** Asserts that every packet was read with `next()` and that, once things have settled, no further one has come. */
  async nothing(clock?: VirtualClock): Promise<void> {
    await (clock ? clock.settle() : settleTurns());
    if (this.#overNetwork) await sleep(NETWORK_GRACE_MS);
    this.assertClean();
    const unread = this.#inbox.items;
    if (unread.length > 0) throw this.#failure(`expected nothing, but got ${unread.map(describePacket).join(', ')}`);
  }

  /** Waits until the link is closed, by the client or by `cut`. */
  async closed(): Promise<void> {
    const { guardMs } = this.#host;
    await guarded(this.#clientClosed, guardMs, () => this.#failure(`the client did not close within ${guardMs} ms`));
    this.assertClean();
  }

  /** Throws when the client has broken a rule. */
  assertClean(): void {
    if (this.violations.length > 0) throw this.#failure(this.violations.map(({ message }) => message).join('\n'));
  }

  // ---- answering

  connack(options: ConnackOptions = {}): void {
    const code = options.reasonCode ?? options.returnCode ?? 0;
    const { sessionPresent = false, properties } = options;
    this.send({ cmd: 'connack', sessionPresent, reasonCode: code, returnCode: code, properties } as Packet);
  }

  publish(fields: PublishFields): void {
    const defaults = { payload: '', qos: 0, retain: false, dup: false };
    this.send({ cmd: 'publish', ...defaults, ...fields } as Packet);
  }

  puback(of: PacketReference, fields?: AcknowledgementFields): void {
    this.#acknowledge('puback', of, fields);
  }

  pubrec(of: PacketReference, fields?: AcknowledgementFields): void {
    this.#acknowledge('pubrec', of, fields);
  }

  pubrel(of: PacketReference, fields?: AcknowledgementFields): void {
    this.#acknowledge('pubrel', of, fields);
  }

  pubcomp(of: PacketReference, fields?: AcknowledgementFields): void {
    this.#acknowledge('pubcomp', of, fields);
  }

  #acknowledge(
    cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
    of: PacketReference,
    fields?: AcknowledgementFields,
  ): void {
    this.send({ cmd, messageId: packetId(of), reasonCode: 0, ...fields } as Packet);
  }

  /** @param granted One code per filter. Default: what the SUBSCRIBE asked for, when `of` is the packet. */
  suback(of: PacketReference | ReceivedPacket<'subscribe'>, granted?: readonly number[], fields?: SubackFields): void {
    const asked = typeof of === 'object' && 'subscriptions' in of ? of.subscriptions.map(({ qos }) => qos) : [0];
    this.send({ cmd: 'suback', messageId: packetId(of), granted: granted ?? asked, ...fields } as Packet);
  }

  /** @param codes MQTT 5: one per filter. Default: success. */
  unsuback(
    of: PacketReference | ReceivedPacket<'unsubscribe'>,
    codes?: readonly number[],
    fields?: SubackFields,
  ): void {
    const filters = typeof of === 'object' && 'unsubscriptions' in of ? of.unsubscriptions : [''];
    const granted = codes ?? filters.map(() => 0);
    this.send({ cmd: 'unsuback', messageId: packetId(of), granted, ...fields } as Packet);
  }

  pingresp(): void {
    this.send({ cmd: 'pingresp' });
  }

  /** MQTT 5. Does not close the link: see `end`. */
  disconnect(fields?: DisconnectFields): void {
    this.send({ cmd: 'disconnect', reasonCode: 0, ...fields } as Packet);
  }

  /** Any packet, encoded for the connection's protocol version, or any bytes. */
  send(packet: Packet | Buffer): void {
    const bytes = this.#encode(packet);
    if (this.#stream.write(bytes)) this.#checker.sent(bytes);
  }

  /** The same, in pieces that arrive one by one. */
  async sendChunked(packet: Packet | Buffer, chunkBytes: number): Promise<void> {
    const bytes = this.#encode(packet);
    this.#checker.sent(bytes);
    await this.#stream.writeChunked(bytes, chunkBytes);
  }

  #encode(packet: Packet | Buffer): Buffer {
    return Buffer.isBuffer(packet) ? packet : encodePacket(packet, this.protocolVersion);
  }

  // ---- faults

  /** Resets the link: the client sees `ECONNRESET`; bytes on the way are lost. */
  cut(): void {
    this.#stream.cut();
  }

  /** Closes the link in order, after what was sent. */
  end(): void {
    this.#stream.end();
  }

  /** Stops reading: the client's writes wait. Over TCP only once the buffers of both kernels are full. */
  freeze(): void {
    this.#stream.freeze();
  }

  thaw(): void {
    this.#stream.thaw();
  }

  /** The peer has died without a word: the link stays, everything sent in either direction is lost. */
  halfOpen(): void {
    this.#stream.halfOpen();
  }

  // ---- inside

  /** @internal */
  whenClosed(callback: () => void): void {
    void this.#clientClosed.then(callback);
  }

  /** Packets go to `handler` instead of `next()` and `received`. @internal */
  handle(handler: (packet: ReceivedPacket) => void): void {
    this.#handler = handler;
    for (const packet of this.#inbox.drain()) handler(packet);
  }

  #receive(chunk: Buffer): void {
    if (this.#garbled) return;
    try {
      for (const raw of this.#framer.push(chunk)) this.#receivePacket(raw);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.#garbled = true;
      this.#current = undefined;
      this.#violate('framing', error.message);
    }
  }

  #receivePacket(raw: Buffer): void {
    let packet: ReceivedPacket;
    try {
      packet = decodePacket(raw, this.protocolVersion);
    } catch (error) {
      this.#current = undefined;
      this.#violate('malformed', `${(error as Error).message}: ${raw.toString('hex', 0, 64)}`);
      return;
    }
    this.#current = packet;
    if (packet.cmd === 'connect') this.#connectPacket ??= packet;
    if (!this.#handler) this.received.push(packet);
    this.#checker.received(packet);
    if (packet.cmd === 'pingreq' && this.autoPing) this.pingresp();
    else if (this.#handler) this.#handler(packet);
    else this.#inbox.put(packet);
  }

  #violate(rule: string, problem: string): void {
    if (this.#host.tolerate.includes(rule)) return;
    const packet = this.#current;
    const message = `[${rule}] ${packet ? `${describePacket(packet)}: ` : ''}${problem}`;
    this.violations.push({ rule, message, packet });
    this.#inbox.interrupt(this.#failure(message));
  }

  #failure(problem: string): Error {
    const listed = this.received.slice(-MOST_LISTED).map((packet) => `  ${describePacket(packet)}`);
    const omitted = this.received.length - listed.length;
    const history =
      listed.length > 0
        ? ` Received${omitted > 0 ? ` (after ${omitted} others)` : ''}:\n${listed.join('\n')}`
        : ' Received nothing.';
    return new Error(`${this.#name} (${this.open ? 'open' : 'closed'}): ${problem}.${history}`);
  }
}
