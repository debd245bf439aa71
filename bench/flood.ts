import type { Socket } from 'node:net';
import { payloadOf, topicOf, WINDOW, type Flood, type QoS } from './wire.js';

/** Packets in the ring: more than the window, so an id is free again before its turn; a multiple of every number of topics used. */
const RING = 1_000;
/** Packets in one write, about 64 KiB of the larger payload. */
const BATCH = 220;

/** Sends PUBLISH packets that were encoded beforehand: within the window at QoS 1 and 2, as fast as the socket drains at QoS 0. */
export class FloodSource {
  private readonly ring: Buffer;
  private readonly packetBytes: number;
  private readonly window: number;
  private sent = 0;
  private completed = 0;
  private draining = false;
  private stopped = false;

  constructor(
    private readonly socket: Socket,
    private readonly flood: Flood,
    private readonly qos: QoS,
    version: number,
    receiveMaximum: number,
  ) {
    this.window = Math.min(WINDOW, receiveMaximum);
    const packets = Array.from({ length: RING }, (_, index) => encode(flood, index, qos, version));
    this.ring = Buffer.concat(packets);
    this.packetBytes = packets[0]!.length;
  }

  acknowledged(): void {
    this.completed++;
  }

  stop(): void {
    this.stopped = true;
  }

  pump(): void {
    if (this.draining || this.stopped) return;
    for (;;) {
      const room = this.qos === 0 ? BATCH : this.window - (this.sent - this.completed);
      const first = this.sent % RING;
      const count = Math.min(room, this.flood.messages - this.sent, RING - first, BATCH);
      if (count <= 0) return;
      this.sent += count;
      if (!this.socket.write(this.ring.subarray(first * this.packetBytes, (first + count) * this.packetBytes))) break;
    }
    this.draining = true;
    this.socket.once('drain', () => {
      this.draining = false;
      this.pump();
    });
  }
}

function encode(flood: Flood, index: number, qos: QoS, version: number): Buffer {
  const topic = Buffer.from(topicOf(flood.firstTopic + (index % flood.topics)));
  const payload = payloadOf(flood.payload);
  const id = index + 1;
  const variable = Buffer.concat([
    Buffer.from([topic.length >> 8, topic.length & 0xff]),
    topic,
    Buffer.from(qos > 0 ? [id >> 8, id & 0xff] : []),
    Buffer.from(version === 5 ? [0] : []),
  ]);
  const length = variable.length + payload.length;
  const head = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
  return Buffer.concat([Buffer.from([0x30 | (qos << 1), ...head]), variable, payload]);
}
