import { Buffer } from 'node:buffer';
import { randomFillSync } from 'node:crypto';

/** 128 random bits: a reply cannot be forged by guessing. */
const idBytes = 16;
const pool = 256;

/** Ids of requests, drawn from the system's randomness a batch at a time. @internal */
export class RequestIds {
  readonly #pool = Buffer.allocUnsafe(idBytes * pool);
  #used = this.#pool.length;

  next(): string {
    if (this.#used === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    return this.#pool.toString('base64url', this.#used, (this.#used += idBytes));
  }
}

/** The MQTT 5 correlation data of a request. @internal */
export function toCorrelationData(id: string): Buffer {
  return Buffer.from(id, 'base64url');
}

/** The id that correlation data stands for; undefined if it is none of ours. @internal */
export function fromCorrelationData(data: Uint8Array | undefined): string | undefined {
  if (data?.length !== idBytes) return undefined;
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64url');
}
