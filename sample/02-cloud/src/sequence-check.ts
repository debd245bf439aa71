/** Finds out what of a numbered stream, from 1 on, is missing and what came twice. */
export class SequenceCheck {
  duplicates = 0;
  #next = 1;
  readonly #missing = new Set<number>();

  get received(): number {
    return this.#next - 1 - this.#missing.size;
  }

  get lost(): number {
    return this.#missing.size;
  }

  add(sequence: number): void {
    if (sequence < this.#next) {
      if (!this.#missing.delete(sequence)) this.duplicates++;
      return;
    }
    for (let skipped = this.#next; skipped < sequence; skipped++) this.#missing.add(skipped);
    this.#next = sequence + 1;
  }
}
