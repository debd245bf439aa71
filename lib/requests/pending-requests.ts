import type { WritePacket } from '@nestjs/microservices';
import { Alarms, type Alarm } from '../eventloop/alarms.js';
import { systemClock, type Clock } from '../eventloop/clock.js';
import { MqttTimeoutError, type MqttError } from '../eventloop/errors.js';
import { MqttTooManyRequestsError } from '../mqtt.errors.js';
import type { PayloadCodec } from '../serialization/codec.js';
import { RequestIds } from './request-id.js';
import { RequestTable, type TableEntry } from './request-table.js';

/** A request that waits for its reply; its alarm is its deadline. @internal */
export class PendingRequest implements Alarm, TableEntry<PendingRequest> {
  nextInBucket: PendingRequest | undefined = undefined;
  dueAtMs = Infinity;
  heapIndex = -1;
  order = 0;
  /**
   * `preparing`: subscriptions are being made. `publishing`: the event loop has it, and tells exactly how far it got when
   * time runs out. `waiting`: for the reply.
   */
  state: 'preparing' | 'publishing' | 'waiting' | 'settled' = 'preparing';
  readonly #owner: PendingRequests;

  constructor(
    owner: PendingRequests,
    readonly id: string,
    readonly topic: string,
    /** 0 = no limit. */
    readonly timeoutMs: number,
    /** Of its replies. */
    readonly codec: PayloadCodec,
    readonly callback: (packet: WritePacket) => void,
  ) {
    this.#owner = owner;
  }

  ring(): void {
    // Its time is the event loop's time then: that error is on its way, and says whether the request was sent.
    if (this.state === 'publishing') return;
    this.#owner.fail(this, timeoutError(this, this.state === 'preparing' ? 'not-sent' : 'unknown'));
  }
}

/**
 * Requests by their id. Bounded; each is settled once: by its last reply, an error, the deadline, or the end.
 * One timer serves all deadlines.
 *
 * @internal
 */
export class PendingRequests {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #onSettled: (request: PendingRequest, timedOut: boolean) => void;
  readonly #ids = new RequestIds();
  readonly #requests = new RequestTable<PendingRequest>();
  readonly #deadlines: Alarms;

  constructor(
    limit: number,
    onSettled: (request: PendingRequest, timedOut: boolean) => void,
    clock: Clock = systemClock,
  ) {
    this.#limit = limit;
    this.#onSettled = onSettled;
    this.#clock = clock;
    this.#deadlines = new Alarms(clock);
  }

  get size(): number {
    return this.#requests.size;
  }

  /** @throws MqttTooManyRequestsError */
  open(topic: string, timeoutMs: number, codec: PayloadCodec, callback: (packet: WritePacket) => void): PendingRequest {
    if (this.#requests.size >= this.#limit) throw new MqttTooManyRequestsError(this.#limit);
    const request = new PendingRequest(this, this.#ids.next(), topic, timeoutMs, codec, callback);
    this.#requests.add(request);
    this.#schedule(request);
    return request;
  }

  /** The codec of a request that still waits. */
  codecOf(id: string): PayloadCodec | undefined {
    return this.#requests.get(id)?.codec;
  }

  /** How long the request may still take; undefined = no limit. */
  remainingMs(request: PendingRequest): number | undefined {
    return request.timeoutMs === 0 ? undefined : Math.max(1, request.dueAtMs - this.#clock.now());
  }

  /** The event loop has sent it. */
  published(request: PendingRequest): void {
    if (request.state !== 'publishing') return;
    request.state = 'waiting';
    // Its deadline may have passed in this very moment, and was left to the event loop.
    if (request.dueAtMs <= this.#clock.now()) this.fail(request, timeoutError(request, 'unknown'));
  }

  /** @returns the request that was answered, or undefined if nobody waits for this reply (any more) */
  reply(id: string, packet: WritePacket): PendingRequest | undefined {
    const request = this.#requests.get(id);
    if (request === undefined) return undefined;
    if (packet.isDisposed === true) this.#settle(request, packet, false);
    else {
      // The next value of a stream has as much time again.
      request.state = 'waiting';
      this.#deadlines.cancel(request);
      this.#schedule(request);
      request.callback(packet);
    }
    return request;
  }

  fail(request: PendingRequest, err: unknown): void {
    if (request.state !== 'settled') this.#settle(request, { err, isDisposed: true }, err instanceof MqttTimeoutError);
  }

  /** Nobody is interested any more. */
  cancel(request: PendingRequest): void {
    if (request.state === 'settled') return;
    this.#forget(request);
    this.#onSettled(request, false);
  }

  failAll(error: (request: PendingRequest) => MqttError): void {
    for (const request of this.#requests.all()) this.fail(request, error(request));
  }

  #settle(request: PendingRequest, packet: WritePacket, timedOut: boolean): void {
    this.#forget(request);
    this.#onSettled(request, timedOut);
    request.callback(packet);
  }

  #forget(request: PendingRequest): void {
    request.state = 'settled';
    this.#requests.delete(request);
    this.#deadlines.cancel(request);
    if (this.#requests.size === 0) this.#deadlines.stop();
  }

  #schedule(request: PendingRequest): void {
    if (request.timeoutMs > 0) this.#deadlines.set(request, request.timeoutMs);
  }
}

/** @internal */
export function timeoutError(request: PendingRequest, delivery: 'not-sent' | 'unknown'): MqttTimeoutError {
  return new MqttTimeoutError(`request to "${request.topic}"`, request.timeoutMs, delivery);
}
