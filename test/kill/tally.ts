/** What a witness has seen: how often each message came. */
export class Tally {
  readonly #times = new Map<number, number>();
  #lastSeenMs = performance.now();

  seen(sequence: number): void {
    this.#times.set(sequence, (this.#times.get(sequence) ?? 0) + 1);
    this.#lastSeenMs = performance.now();
  }

  /** Different messages. */
  get size(): number {
    return this.#times.size;
  }

  times(sequence: number): number {
    return this.#times.get(sequence) ?? 0;
  }

  /** For how long nothing has come. */
  get silentMs(): number {
    return performance.now() - this.#lastSeenMs;
  }

  lost(sequences: readonly number[]): number[] {
    return sequences.filter((sequence) => this.times(sequence) === 0);
  }

  repeated(sequences: readonly number[]): number[] {
    return sequences.filter((sequence) => this.times(sequence) > 1);
  }

  /** Waits for `count` different messages; gives up when nothing has come for `patienceMs`, for then nothing will. */
  async complete(count: number, patienceMs = 30_000): Promise<void> {
    this.#lastSeenMs = performance.now();
    while (this.size < count && this.silentMs < patienceMs) await new Promise((resolve) => setTimeout(resolve, 20));
    // A repetition can only be seen by those who wait for it.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
