/**
 * Lets a number of runs in at once; the others wait in order of arrival. The line has no limit of its own:
 * the event loop bounds how many messages are unsettled, and only those can stand in it.
 *
 * @internal
 */
export class ConcurrencyGate {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #head = 0;

  constructor(readonly limit: number) {}

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Undefined when there is room; otherwise resolves when the caller's turn has come. Each entry needs one `leave`. */
  enter(): Promise<void> | undefined {
    if (this.#running < this.limit) {
      this.#running++;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    if (this.#head === this.#waiting.length) {
      this.#running--;
      return;
    }
    // The place passes on, so that nobody who comes in between can take it.
    const next = this.#waiting[this.#head++];
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#head = 0;
    } else if (this.#head >= 256 && this.#head * 2 >= this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    next?.();
  }
}
