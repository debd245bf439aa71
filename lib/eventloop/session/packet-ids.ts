const IDS = 65_535;
const ALL_USED = 0xffff_ffff;

/** Ids that publishes leave for SUBSCRIBE and UNSUBSCRIBE, so that a full window never starves them [MQTT-3.3.4-8]. @internal */
export const RESERVED_IDS = 16;

/**
 * Packet identifiers 1 to 65 535: each unused one is handed out in turn, whatever the order in which they come back
 * [MQTT-2.2.1-3].
 *
 * @internal
 */
export class PacketIds {
  /** One bit an id. */
  readonly #used = new Uint32Array((IDS + 1) / 32);
  #last = 0;
  #count = 0;

  get free(): number {
    return IDS - this.#count;
  }

  /** Undefined when all are in use. */
  take(): number | undefined {
    if (this.#count === IDS) return undefined;
    do {
      // Thousands that are never acknowledged are passed 32 at a time.
      if (this.#used[this.#last >> 5] === ALL_USED) this.#last |= 31;
      this.#last = this.#last === IDS ? 1 : this.#last + 1;
    } while (this.#isUsed(this.#last));
    this.#used[this.#last >> 5]! |= 1 << (this.#last & 31);
    this.#count++;
    return this.#last;
  }

  release(id: number): void {
    if (!this.#isUsed(id)) return;
    this.#used[id >> 5]! &= ~(1 << (id & 31));
    this.#count--;
  }

  #isUsed(id: number): boolean {
    return (this.#used[id >> 5]! & (1 << (id & 31))) !== 0;
  }
}
