import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { generate, parser, type Packet } from 'mqtt-packet';
import type { ScriptedBroker } from '../../../lib/testing/index.js';

/** A client without any sense: it sends what a test tells it to, right or wrong. */
export class RawClient {
  readonly received: Packet[] = [];
  /** The bytes as they came in, one element per chunk. */
  readonly chunks: Buffer[] = [];
  readonly stream: Duplex;
  readonly protocolVersion: 4 | 5;
  error: NodeJS.ErrnoException | undefined;
  ended = false;
  #arrived: () => void = () => undefined;

  constructor(stream: Duplex, protocolVersion: 4 | 5) {
    this.stream = stream;
    this.protocolVersion = protocolVersion;
    const packetParser = parser({ protocolVersion });
    packetParser.on('packet', (packet) => this.received.push(packet));
    packetParser.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      packetParser.parse(chunk);
      this.#arrived();
    });
    stream.on('error', (error) => (this.error = error));
    stream.on('end', () => (this.ended = true));
    stream.on('close', () => this.#arrived());
  }

  static async dial(broker: ScriptedBroker, protocolVersion: 4 | 5 = 4): Promise<RawClient> {
    const server = { host: 'broker', port: 1883, label: 'mqtt://broker:1883', credentials: undefined };
    return new RawClient(await broker.dial(server, new AbortController().signal), protocolVersion);
  }

  static tcp(port: number, protocolVersion: 4 | 5 = 4): RawClient {
    return new RawClient(connect({ port, host: '127.0.0.1', noDelay: true }), protocolVersion);
  }

  send(...packets: (Packet | Buffer)[]): void {
    for (const packet of packets) this.stream.write(Buffer.isBuffer(packet) ? packet : this.encode(packet));
  }

  encode(packet: Packet): Buffer {
    return generate(packet, { protocolVersion: this.protocolVersion });
  }

  connect(fields: object = {}): void {
    const { protocolVersion } = this;
    this.send({ cmd: 'connect', clientId: 'raw', clean: true, keepalive: 60, protocolVersion, ...fields });
  }

  publish(messageId: number, fields: object = {}): void {
    this.send({ cmd: 'publish', topic: 'a/b', payload: 'x', qos: 1, dup: false, retain: false, messageId, ...fields });
  }

  /** Resolves with the `count`th packet of its kind. */
  async until<C extends Packet['cmd']>(cmd: C, count = 1): Promise<Extract<Packet, { cmd: C }>> {
    for (;;) {
      const found = this.received.filter((packet) => packet.cmd === cmd)[count - 1];
      if (found) return found as Extract<Packet, { cmd: C }>;
      if (this.stream.destroyed) throw new Error(`The link closed before ${cmd} came: ${this.error?.message ?? 'end'}`);
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }

  async closed(): Promise<void> {
    while (!this.stream.closed) await new Promise<void>((resolve) => (this.#arrived = resolve));
  }
}
