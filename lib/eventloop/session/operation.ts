import type { DeliveryState, MqttError } from '../errors.js';

/** What may end a caller's wait early. @internal */
export interface Limit {
  begin(): void;
  /** The operation has settled. */
  release(): void;
}

/**
 * Something a caller waits for. It settles exactly once; its promise is made only when somebody asks for it, so a rejection
 * nobody asked for is not an unhandled one.
 *
 * @internal
 */
export abstract class Operation<Result> {
  /** Settled while the packet exchange is still open: the protocol goes on, nobody listens. */
  settled = false;
  #result: Result | undefined;
  #error: MqttError | undefined;
  #promise: Promise<Result> | undefined;
  #resolve: ((result: Result) => void) | undefined;
  #reject: ((error: MqttError) => void) | undefined;
  #limit: Limit | undefined;

  /** `publish to "a/b"`, for error messages. */
  abstract get description(): string;
  /** Whether the broker may have seen it. */
  abstract get delivery(): DeliveryState;

  get completed(): Promise<Result> {
    return (this.#promise ??= new Promise<Result>((resolve, reject) => {
      if (this.#error !== undefined) reject(this.#error);
      else if (this.settled) resolve(this.#result as Result);
      else {
        this.#resolve = resolve;
        this.#reject = reject;
      }
    }));
  }

  succeed(result: Result): void {
    if (this.settled) return;
    this.settled = true;
    this.#result = result;
    this.#limit?.release();
    this.#resolve?.(result);
  }

  fail(error: MqttError): void {
    if (this.settled) return;
    this.settled = true;
    this.#error = error;
    this.#limit?.release();
    this.#reject?.(error);
  }

  /** From now on the limit may end the caller's wait. */
  limit(limit: Limit): void {
    this.#limit = limit;
    limit.begin();
  }
}
