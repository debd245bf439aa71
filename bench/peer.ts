/**
 * The other side of every row, in a process of its own: it looks like a broker to one client and does nothing
 * but answer and flood, on raw bytes, as fast as it can. Its own CPU time is not counted.
 */
import { createServer, type Socket } from 'node:net';
import { FloodSource } from './flood.js';
import { HOLD_TOPIC, parseFloodFilter, parseResumption, type QoS, type Resumption, type Version } from './wire.js';

const CONNECT = 1;
const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBSCRIBE = 8;
const UNSUBSCRIBE = 10;
const PINGREQ = 12;
const DISCONNECT = 14;

/** Clients whose first connection was cut, and whose session is therefore to be resumed. */
const interrupted = new Set<string>();

class Connection {
  private version: Version = 4;
  private receiveMaximum = 65_535;
  private rest: Buffer = Buffer.alloc(0);
  /** Answers to one chunk leave in one write. None is longer than what it answers, so a chunk's length is room enough. */
  private answers: Buffer = Buffer.alloc(0);
  private answered = 0;
  private source: FloodSource | undefined;
  /** Every answer leaves so much later than it could. */
  private delayMs = 0;
  /** Publishes that are not acknowledged; with the last of them the connection is cut. */
  private toHold = 0;

  constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => this.read(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.source?.stop());
  }

  private read(chunk: Buffer): void {
    const bytes = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    this.answers = Buffer.allocUnsafe(bytes.length);
    this.answered = 0;
    let start = 0;
    while (start + 2 <= bytes.length) {
      let body = start + 1;
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const digit = bytes[body++] ?? 0; // past the end `body` tells that the packet is not complete
        length += (digit & 0x7f) << shift;
        if (digit < 0x80) break;
      }
      if (body + length > bytes.length) break;
      this.packet(bytes, start, body, body + length);
      start = body + length;
    }
    this.rest = bytes.subarray(start);
    if (this.answered > 0) this.write(this.answers.subarray(0, this.answered));
    this.source?.pump();
  }

  private write(answers: Buffer): void {
    if (this.delayMs === 0) this.socket.write(answers);
    else setTimeout(() => this.socket.write(answers), this.delayMs);
  }

  private packet(bytes: Buffer, start: number, body: number, end: number): void {
    const flags = bytes[start]! & 0x0f;
    switch (bytes[start]! >> 4) {
      case PUBLISH: {
        const qos = (flags >> 1) & 3;
        if (qos > 0) this.published(qos, bytes, body, body + 2 + bytes.readUInt16BE(body));
        break;
      }
      case PUBREL:
        this.acknowledge(0x70, bytes, body);
        break;
      case PUBREC:
        this.acknowledge(0x62, bytes, body);
        break;
      case PUBACK:
      case PUBCOMP:
        this.source?.acknowledged();
        break;
      case CONNECT:
        this.connect(bytes, body);
        break;
      case SUBSCRIBE:
        this.subscribe(bytes, body, end);
        break;
      case UNSUBSCRIBE:
        this.answer([
          0xb0,
          this.version === 5 ? 4 : 2,
          bytes[body]!,
          bytes[body + 1]!,
          ...(this.version === 5 ? [0, 0] : []),
        ]);
        break;
      case PINGREQ:
        this.answer([0xd0, 0]);
        break;
      case DISCONNECT:
        this.socket.end();
    }
  }

  private connect(bytes: Buffer, body: number): void {
    this.version = bytes[body + 6] as Version;
    let clientIdAt = body + 10;
    if (this.version === 5) {
      this.receiveMaximum = readReceiveMaximum(bytes, clientIdAt) ?? this.receiveMaximum;
      clientIdAt += 1 + bytes[clientIdAt]!; // the benchmarks send fewer than 128 bytes of properties
    }
    const clientId = bytes.toString('utf8', clientIdAt + 2, clientIdAt + 2 + bytes.readUInt16BE(clientIdAt));
    const resumption = parseResumption(clientId);
    if (resumption !== undefined) return this.interruptOrResume(clientId, resumption);
    this.answer(this.version === 5 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]);
  }

  private interruptOrResume(clientId: string, { unacknowledged, receiveMaximum, rttMs }: Resumption): void {
    if (interrupted.has(clientId)) {
      this.answer([0x20, 6, 1, 0, 3, 0x21, receiveMaximum >> 8, receiveMaximum & 0xff]);
      interrupted.delete(clientId);
      // From the next chunk on: a resumption is counted from CONNACK.
      setImmediate(() => (this.delayMs = rttMs));
    } else {
      interrupted.add(clientId);
      this.toHold = unacknowledged;
      this.answer([0x20, 3, 0, 0, 0]);
    }
  }

  private published(qos: number, bytes: Buffer, topicAt: number, idAt: number): void {
    if (this.toHold > 0) {
      if (--this.toHold === 0) this.socket.destroy();
      // No other topic is as short.
    } else if (idAt - topicAt !== 2 + HOLD_TOPIC.length) this.acknowledge(qos === 1 ? 0x40 : 0x50, bytes, idAt);
  }

  private subscribe(bytes: Buffer, body: number, end: number): void {
    const granted: number[] = [];
    let at = body + 2;
    if (this.version === 5) at += 1 + bytes[at]!;
    while (at < end) {
      const filterEnd = at + 2 + bytes.readUInt16BE(at);
      const filter = bytes.toString('utf8', at + 2, filterEnd);
      const qos = (bytes[filterEnd]! & 3) as QoS;
      const flood = parseFloodFilter(filter);
      if (flood) this.source = new FloodSource(this.socket, flood, qos, this.version, this.receiveMaximum);
      granted.push(qos);
      at = filterEnd + 1;
    }
    const rest = [bytes[body]!, bytes[body + 1]!, ...(this.version === 5 ? [0] : []), ...granted];
    const length = rest.length < 128 ? [rest.length] : [(rest.length & 0x7f) | 0x80, rest.length >> 7];
    this.answer([0x90, ...length, ...rest]);
  }

  private acknowledge(head: number, bytes: Buffer, idAt: number): void {
    this.answer([head, 2, bytes[idAt]!, bytes[idAt + 1]!]);
  }

  private answer(bytes: readonly number[]): void {
    for (const byte of bytes) this.answers[this.answered++] = byte;
  }
}

/** Looks for the property among those of fixed length, which is where every client puts it. */
function readReceiveMaximum(bytes: Buffer, at: number): number | undefined {
  const lengths: Readonly<Record<number, number>> = { 0x11: 4, 0x17: 1, 0x19: 1, 0x22: 2, 0x27: 4 };
  for (let next = at + 1; next <= at + bytes[at]!;) {
    const property = bytes[next]!;
    if (property === 0x21) return bytes.readUInt16BE(next + 1);
    next += 1 + (lengths[property] ?? Infinity);
  }
  return undefined;
}

const server = createServer({ noDelay: true }, (socket) => void new Connection(socket));
// A port as the only argument, for trying it by hand; the runner lets the system choose and reads it from the channel.
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => process.send?.(server.address()));
process.on('disconnect', () => process.exit());
