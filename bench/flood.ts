import type { Socket } from 'node:net';
import { encodePublish, ringOf, WINDOW, type Flood, type QoS, type Version } from './wire.js';

/** Bytes of one write. */
const BATCH_BYTES = 65_536;

/** Sends PUBLISH packets that were encoded beforehand: within the window at QoS 1 and 2, as fast as the socket drains at QoS 0. */
export class FloodSource {
  private readonly ring: Buffer;
  private readonly packets: number;
  private readonly packetBytes: number;
  private readonly batch: number;
  private readonly window: number;
  private sent = 0;
  private completed = 0;
  private draining = false;
  private stopped = false;

  constructor(
    private readonly socket: Socket,
    private readonly flood: Flood,
    private readonly qos: QoS,
    version: Version,
    receiveMaximum: number,
  ) {
    this.window = Math.min(WINDOW, receiveMaximum);
    this.packets = ringOf(flood);
    const packets = Array.from({ length: this.packets }, (_, index) =>
      encodePublish(flood.firstTopic + (index % flood.topics), flood.payload, qos, index + 1, version),
    );
    this.ring = Buffer.concat(packets);
    this.packetBytes = packets[0]!.length;
    this.batch = Math.ceil(BATCH_BYTES / this.packetBytes);
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
      const room = this.qos === 0 ? this.batch : this.window - (this.sent - this.completed);
      const first = this.sent % this.packets;
      const count = Math.min(room, this.flood.messages - this.sent, this.packets - first, this.batch);
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
