import type { Sample } from './tasks.js';

/** CPU time of the whole process, user and system, from here to `stop`. */
export class Stopwatch {
  #cpuMicros = 0;
  #wallMs = 0;
  #startCpu = process.cpuUsage();
  #startMs = performance.now();

  start(): void {
    this.#startMs = performance.now();
    this.#startCpu = process.cpuUsage();
  }

  /** Adds what has passed since the last `start`. */
  stop(): void {
    const { user, system } = process.cpuUsage(this.#startCpu);
    this.#cpuMicros += user + system;
    this.#wallMs += performance.now() - this.#startMs;
  }

  sample(messages: number): Sample {
    return { cpuMicros: this.#cpuMicros / messages, messagesPerSecond: Math.round((messages / this.#wallMs) * 1_000) };
  }
}

/** The middle, and what one in a hundred exceeds. */
export function latencySample(latenciesMs: readonly number[]): Sample {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  return {
    p50Micros: sorted[sorted.length >> 1]! * 1_000,
    p99Micros: sorted[Math.floor(sorted.length * 0.99)]! * 1_000,
  };
}

/** Counts messages, and measures from the end of the warm-up to the last message. */
export class Meter {
  readonly sample: Promise<Sample>;
  readonly #watch = new Stopwatch();
  readonly #warmUp: number;
  readonly #messages: number;
  #finish!: (sample: Sample) => void;
  #count = 0;

  constructor({ warmUp, messages }: { readonly warmUp: number; readonly messages: number }) {
    this.#warmUp = warmUp;
    this.#messages = messages;
    this.sample = new Promise((resolve) => (this.#finish = resolve));
  }

  readonly tick = (): void => this.add(1);

  add(messages: number): void {
    const before = this.#count;
    this.#count += messages;
    const end = this.#warmUp + this.#messages;
    if (before < this.#warmUp && this.#count >= this.#warmUp) this.#watch.start();
    else if (before < end && this.#count >= end) {
      this.#watch.stop();
      this.#finish(this.#watch.sample(this.#messages));
    }
  }
}

/** What is left after a collection, with the buffers that objects hold outside the heap. */
export function heapBytes(): number {
  globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

export function activeTimers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}
