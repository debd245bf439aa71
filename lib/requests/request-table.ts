const firstBuckets = 64;
/** So many characters of an id choose its bucket: 36 random bits. */
const hashedCharacters = 6;

/** What the table needs of a request. @internal */
export interface TableEntry<T> {
  readonly id: string;
  /** The next one in the same bucket. */
  nextInBucket: T | undefined;
}

/**
 * Requests by their random ids, chained through themselves. In a `Map`, entries that come and go all the time make new tables all
 * the time, and V8's garbage collector keeps what any of them held: that took a fifth of a request's CPU time.
 *
 * @internal
 */
export class RequestTable<T extends TableEntry<T>> {
  #buckets = emptyBuckets<T>(firstBuckets);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: string): T | undefined {
    let request = this.#buckets[this.#bucketOf(id)];
    while (request !== undefined && request.id !== id) request = request.nextInBucket;
    return request;
  }

  /** Its id must be a new one. */
  add(request: T): void {
    if (this.#size === this.#buckets.length) this.#grow();
    this.#put(request);
    this.#size++;
  }

  delete(request: T): void {
    const bucket = this.#bucketOf(request.id);
    let before: T | undefined;
    let found = this.#buckets[bucket];
    while (found !== undefined && found !== request) {
      before = found;
      found = found.nextInBucket;
    }
    if (found === undefined) return;
    if (before === undefined) this.#buckets[bucket] = request.nextInBucket;
    else before.nextInBucket = request.nextInBucket;
    request.nextInBucket = undefined;
    this.#size--;
  }

  /** In no order. */
  all(): T[] {
    const requests: T[] = [];
    for (const first of this.#buckets) {
      for (let request = first; request !== undefined; request = request.nextInBucket) requests.push(request);
    }
    return requests;
  }

  #put(request: T): void {
    const bucket = this.#bucketOf(request.id);
    request.nextInBucket = this.#buckets[bucket];
    this.#buckets[bucket] = request;
  }

  #grow(): void {
    const requests = this.all();
    this.#buckets = emptyBuckets(this.#buckets.length * 2);
    for (const request of requests) this.#put(request);
  }

  #bucketOf(id: string): number {
    let hash = 0;
    for (let i = 0; i < hashedCharacters; i++) hash = Math.imul(hash, 31) + id.charCodeAt(i);
    return (hash ^ (hash >>> 15)) & (this.#buckets.length - 1);
  }
}

function emptyBuckets<T>(count: number): (T | undefined)[] {
  return new Array<T | undefined>(count).fill(undefined);
}
