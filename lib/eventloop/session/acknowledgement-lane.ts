import type { AcknowledgementType } from '../codec/packet-types.js';
import type { PacketWriter } from '../codec/writer.js';

const ACKNOWLEDGEMENT_BYTES = 5;

/** Acknowledgements on their way out, first in, first out [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4]. @internal */
export class AcknowledgementLane {
  /** Type, reason code and packet identifier in one number. */
  #entries: number[] = [];
  #sent = 0;

  get size(): number {
    return this.#entries.length - this.#sent;
  }

  push(type: AcknowledgementType, id: number, reasonCode: number): void {
    this.#entries.push((type << 24) | (reasonCode << 16) | id);
  }

  /** @returns whether all have been written */
  write(writer: PacketWriter): boolean {
    while (this.#sent < this.#entries.length) {
      if (!writer.hasRoom(ACKNOWLEDGEMENT_BYTES)) return false;
      const entry = this.#entries[this.#sent++]!;
      writer.acknowledgement((entry >> 24) as AcknowledgementType, entry & 0xffff, (entry >> 16) & 0xff);
    }
    this.clear();
    return true;
  }

  /** Acknowledgements belong to one connection. */
  clear(): void {
    if (this.#entries.length === 0) return;
    this.#entries = [];
    this.#sent = 0;
  }
}
