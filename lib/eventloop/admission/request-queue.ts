import { MqttMessageDroppedError, MqttPacketTooLargeError, MqttQueueFullError, type MqttError } from '../errors.js';
import type { OverflowPolicy } from '../options.js';
import { LinkedList, type ListNode } from './linked-list.js';

/** @internal */
export const Admission = { Outside: 0, Waiting: 1, Queued: 2 } as const;

/** @internal */
export type Admission = (typeof Admission)[keyof typeof Admission];

/** What the queue knows of a request. @internal */
export interface QueuedRequest<T> extends ListNode<T> {
  /** Counted against the queue's bytes. */
  readonly bytes: number;
  admission: Admission;
  /** The queue has taken it, at once or after waiting. */
  admitted(): void;
  fail(error: MqttError): void;
}

/** @internal */
export interface RequestQueueLimits {
  readonly requestCapacity: number;
  readonly requestCapacityBytes: number;
  readonly overflow: OverflowPolicy;
  readonly maxWaiters: number;
}

/**
 * The bounded first in, first out queue between callers and the session, with the bounded line of those who wait for it.
 * Knows nothing of connections: what it has taken stays until it is shifted or withdrawn.
 *
 * @internal
 */
export class RequestQueue<T extends QueuedRequest<T>> {
  readonly #queue = new LinkedList<T>();
  readonly #waiting = new LinkedList<T>();
  readonly #onDropped: (request: T, policy: 'drop-oldest' | 'drop-newest') => void;
  #bytes = 0;
  /** Let past the queue; they may come back. */
  #past = 0;
  #pastBytes = 0;
  #limits: RequestQueueLimits;

  constructor(limits: RequestQueueLimits, onDropped: (request: T, policy: 'drop-oldest' | 'drop-newest') => void) {
    this.#limits = limits;
    this.#onDropped = onDropped;
  }

  get head(): T | undefined {
    return this.#queue.head;
  }

  get size(): number {
    return this.#queue.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** From 0 to 1; more when the limits were lowered. */
  get fill(): number {
    const { requestCapacity, requestCapacityBytes } = this.#limits;
    return Math.max(this.#queue.size / requestCapacity, this.#bytes / requestCapacityBytes);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** New limits count for what comes; what was taken stays. */
  configure(limits: RequestQueueLimits): void {
    this.#limits = limits;
    this.#admitWaiting();
  }

  hasRoomFor(bytes: number): boolean {
    return this.#waiting.size === 0 && this.#fits(bytes);
  }

  #fits(bytes: number): boolean {
    return (
      this.#queue.size + this.#past < this.#limits.requestCapacity &&
      this.#bytes + this.#pastBytes + bytes <= this.#limits.requestCapacityBytes
    );
  }

  /** Lets a request past the queue, if there is room for it should it come back. */
  letPast(bytes: number): boolean {
    if (!this.hasRoomFor(bytes)) return false;
    this.#past++;
    this.#pastBytes += bytes;
    return true;
  }

  /** What was let past will not come back. */
  forgetPast(): void {
    if (this.#past === 0) return;
    this.#past = this.#pastBytes = 0;
    this.#admitWaiting();
  }

  /** All that was let past comes back, before everything else. */
  takeBack(requests: readonly T[]): void {
    this.#past = this.#pastBytes = 0;
    for (const request of requests.toReversed()) {
      request.admission = Admission.Queued;
      this.#queue.unshift(request);
      this.#bytes += request.bytes;
    }
    // Under this policy what came later has been taken, as nothing could be dropped for it.
    while (this.#limits.overflow === 'drop-oldest' && this.fill > 1) this.#drop(this.#queue.head!, 'drop-oldest');
  }

  /**
   * Takes the request now, lets it wait, or fails it (or an older one), as the overflow policy says.
   *
   * @throws MqttPacketTooLargeError when the queue could never hold it
   */
  offer(request: T): void {
    if (request.bytes > this.#limits.requestCapacityBytes) {
      throw new MqttPacketTooLargeError(request.bytes, this.#limits.requestCapacityBytes, 'requestCapacityBytes');
    }
    if (this.hasRoomFor(request.bytes)) return this.#take(request);
    switch (this.#limits.overflow) {
      case 'wait':
        return this.#wait(request);
      case 'reject':
        return request.fail(this.#fullError());
      case 'drop-newest':
        return this.#drop(request, 'drop-newest');
      case 'drop-oldest':
        this.#dropOldest(request.bytes);
        return this.#take(request);
    }
  }

  shift(): T | undefined {
    const request = this.#queue.head;
    if (request !== undefined) this.withdraw(request);
    return request;
  }

  /** Takes a request out, wherever it is. */
  withdraw(request: T): void {
    if (request.admission === Admission.Waiting) this.#waiting.remove(request);
    else if (request.admission === Admission.Queued) {
      this.#queue.remove(request);
      this.#bytes -= request.bytes;
    }
    request.admission = Admission.Outside;
    if (this.#waiting.size > 0) this.#admitWaiting();
  }

  /** Empties queue and line. */
  failAll(error: MqttError): void {
    for (const list of [this.#queue, this.#waiting]) {
      for (let request = list.shift(); request !== undefined; request = list.shift()) {
        request.admission = Admission.Outside;
        request.fail(error);
      }
    }
    this.#bytes = 0;
  }

  #take(request: T): void {
    request.admission = Admission.Queued;
    this.#queue.push(request);
    this.#bytes += request.bytes;
    request.admitted();
  }

  #wait(request: T): void {
    if (this.#waiting.size >= this.#limits.maxWaiters) {
      return request.fail(new MqttQueueFullError('maxWaiters', this.#limits.maxWaiters));
    }
    request.admission = Admission.Waiting;
    this.#waiting.push(request);
  }

  #admitWaiting(): void {
    for (let request = this.#waiting.head; request !== undefined; request = this.#waiting.head) {
      if (!this.#fits(request.bytes)) return;
      this.#waiting.remove(request);
      this.#take(request);
    }
  }

  /** Makes room, as far as it is not taken by what was let past: that is on its way. */
  #dropOldest(bytes: number): void {
    while (!this.hasRoomFor(bytes)) {
      const oldest = this.#waiting.head ?? this.#queue.head;
      if (oldest === undefined) return;
      this.#drop(oldest, 'drop-oldest');
    }
  }

  #drop(request: T, policy: 'drop-oldest' | 'drop-newest'): void {
    this.withdraw(request);
    this.#onDropped(request, policy);
    request.fail(new MqttMessageDroppedError(policy));
  }

  #fullError(): MqttQueueFullError {
    return this.#queue.size + this.#past >= this.#limits.requestCapacity
      ? new MqttQueueFullError('requestCapacity', this.#limits.requestCapacity)
      : new MqttQueueFullError('requestCapacityBytes', this.#limits.requestCapacityBytes);
  }
}
