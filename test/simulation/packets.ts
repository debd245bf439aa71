import { generate, parser, type Packet, type Parser } from 'mqtt-packet';
import { PacketFramer } from '../../lib/testing/packet-framer.js';

/** What goes over the wire, with what the simulation reads of it. */
export type WirePacket = Packet & { raw?: Buffer };

export function encode(packet: WirePacket, version: 4 | 5): Buffer {
  return generate(packet, { protocolVersion: version });
}

/** Cuts and decodes what a client writes, and hands each packet out again when its last byte has arrived. */
export class ClientPackets {
  version: 4 | 5 = 4;
  readonly #framer = new PacketFramer();
  #parser: Parser | undefined;
  #decoded: Packet | undefined;
  readonly #waiting: { readonly packet: WirePacket; readonly end: number }[] = [];
  #total = 0;

  /** @throws when the bytes are no MQTT packets */
  *push(bytes: Buffer): Generator<WirePacket, void> {
    for (const raw of this.#framer.push(bytes)) {
      const packet = Object.assign(this.#decode(raw), { raw });
      this.#total += raw.length;
      this.#waiting.push({ packet, end: this.#total });
      yield packet;
    }
  }

  /** Packets that are complete when this many bytes have arrived. */
  *upTo(total: number): Generator<WirePacket, void> {
    while (this.#waiting.length > 0 && this.#waiting[0]!.end <= total) yield this.#waiting.shift()!.packet;
  }

  #decode(raw: Buffer): Packet {
    if (this.#parser === undefined) {
      // A CONNECT tells its version at a fixed place.
      this.version = raw[0] === 0x10 && raw[8] === 5 ? 5 : 4;
      this.#parser = parser({ protocolVersion: this.version });
      this.#parser.on('packet', (packet) => (this.#decoded = packet));
      this.#parser.on('error', (error: Error) => {
        throw error;
      });
    }
    this.#decoded = undefined;
    this.#parser.parse(raw);
    if (this.#decoded === undefined) throw new Error(`mqtt-packet makes nothing of ${raw.toString('hex')}`);
    return this.#decoded;
  }
}

/** The name that every payload begins with: `p3.1` for a publish, `m7.0` for a message. */
export function keyOf(payload: string | Buffer): string {
  const text = payload.toString();
  const end = text.indexOf(' ');
  return end < 0 ? text : text.slice(0, end);
}

export function payloadOf(key: string, bytes: number): Buffer {
  return Buffer.from(`${key} `.padEnd(bytes, '.'));
}

/** One line for people. */
export function describe(packet: WirePacket): string {
  const parts = [packet.cmd.toUpperCase()];
  if (packet.messageId !== undefined && packet.messageId !== 0) parts.push(`id ${packet.messageId}`);
  if (packet.cmd === 'publish') {
    parts.push(keyOf(packet.payload), `qos ${packet.qos}`);
    if (packet.dup) parts.push('dup');
  }
  if (packet.cmd === 'subscribe')
    parts.push(packet.subscriptions.map(({ topic, qos }) => `${topic} (${qos})`).join(' '));
  if (packet.cmd === 'unsubscribe') parts.push(packet.unsubscriptions.join(' '));
  if (packet.cmd === 'connect') parts.push(packet.clean ? 'clean' : 'not clean');
  if (packet.cmd === 'connack') parts.push(packet.sessionPresent ? 'session present' : 'no session');
  const code = 'reasonCode' in packet ? packet.reasonCode : 'returnCode' in packet ? packet.returnCode : undefined;
  if (code) parts.push(`reason 0x${code.toString(16)}`);
  return parts.join(' ');
}
