/** A larger jump is not believed. */
const LONGEST_GAP = 100_000;

/** Finds out what of a numbered stream is missing and what came twice. */
export class SequenceCheck {
  received = 0;
  duplicates = 0;
  private readonly missing = new Set<number>();

  constructor(
    readonly run: string,
    private next: number,
  ) {}

  get lost(): number {
    return this.missing.size;
  }

  add(sequence: number): void {
    this.received++;
    if (sequence < this.next) {
      if (!this.missing.delete(sequence)) this.duplicates++;
      return;
    }
    if (sequence - this.next <= LONGEST_GAP) {
      for (let skipped = this.next; skipped < sequence; skipped++) this.missing.add(skipped);
    }
    this.next = sequence + 1;
  }
}
