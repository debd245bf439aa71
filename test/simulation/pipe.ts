import type { SimulationClock } from './clock.js';
import type { Weather } from './program.js';
import type { Random } from './random.js';

/** Who is at the far end. */
export interface PipeEnd {
  /** @param total bytes that have arrived so far, this piece included */
  arrived(piece: Buffer, total: number): void;
  ended(): void;
  /** The byte where the link was to be cut has arrived. */
  cut(how: 'reset' | 'fin'): void;
}

/** One direction of a link: bytes arrive in order, in other pieces than they were sent, later. */
export class Pipe {
  /** Sent and not read by the far end. */
  unreadBytes = 0;
  /** Bytes go in and nothing comes out. */
  isSilent = false;
  /** Whatever is on the way is lost. */
  isClosed = false;
  readonly #clock: SimulationClock;
  readonly #random: Random;
  readonly #weather: () => Weather;
  readonly #end: PipeEnd;
  #arrivesAtMs = 0;
  #total = 0;
  #cut: { readonly at: number; readonly how: 'reset' | 'fin' } | undefined;
  #frozen: (Buffer | null)[] | undefined;

  constructor(clock: SimulationClock, random: Random, weather: () => Weather, end: PipeEnd) {
    this.#clock = clock;
    this.#random = random;
    this.#weather = weather;
    this.#end = end;
  }

  send(bytes: Buffer): void {
    if (this.isClosed) return;
    this.unreadBytes += bytes.length;
    for (const piece of this.#pieces(bytes)) this.#schedule(piece);
  }

  end(): void {
    if (!this.isClosed) this.#schedule(null);
  }

  close(): void {
    this.isClosed = true;
  }

  /** Lets this many more bytes through and then breaks the link. */
  cutAfter(bytes: number, how: 'reset' | 'fin'): void {
    this.#cut ??= { at: this.#total + bytes, how };
  }

  cancelCut(): void {
    this.#cut = undefined;
  }

  /** The far end stops reading. */
  freeze(): void {
    this.#frozen ??= [];
  }

  thaw(): void {
    const held = this.#frozen ?? [];
    this.#frozen = undefined;
    for (const piece of held) this.#arrive(piece);
  }

  #schedule(piece: Buffer | null): void {
    const { delayMs } = this.#weather();
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, this.#clock.nowMs + this.#random.between(delayMs));
    this.#clock.schedule(this.#arrivesAtMs - this.#clock.nowMs, () => this.#arrive(piece));
  }

  #arrive(piece: Buffer | null): void {
    if (this.isClosed || this.isSilent) return;
    if (this.#frozen !== undefined) return void this.#frozen.push(piece);
    if (piece === null) return this.#end.ended();
    const cut = this.#cut;
    const isLast = cut !== undefined && this.#total + piece.length >= cut.at;
    const arrives = isLast ? piece.subarray(0, cut.at - this.#total) : piece;
    this.unreadBytes -= arrives.length;
    this.#total += arrives.length;
    if (arrives.length > 0) this.#end.arrived(arrives, this.#total);
    if (isLast && !this.isClosed) this.#end.cut(cut.how);
  }

  #pieces(bytes: Buffer): Buffer[] {
    const { splitChance } = this.#weather();
    if (bytes.length < 2 || !this.#random.chance(splitChance)) return [bytes];
    if (bytes.length <= 12 && this.#random.chance(0.3)) return Array.from(bytes, (byte) => Buffer.of(byte));
    const at = this.#random.integer(1, bytes.length - 1);
    return [bytes.subarray(0, at), bytes.subarray(at)];
  }
}
