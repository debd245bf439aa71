import { MqttAbortError, MqttTimeoutError, type DeliveryState, type MqttError } from '../errors.js';
import type { Clock } from '../clock.js';
import type { OperationOptions } from '../messages.js';

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
  #release: (() => void) | undefined;

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
    this.#release?.();
    this.#resolve?.(result);
  }

  fail(error: MqttError): void {
    if (this.settled) return;
    this.settled = true;
    this.#error = error;
    this.#release?.();
    this.#reject?.(error);
  }

  /**
   * Ends the caller's wait on abort or timeout. `withdraw` runs after the failure, to take back what was not sent.
   */
  limit({ signal, timeoutMs }: OperationOptions, clock: Pick<Clock, 'startTimer'>, withdraw: () => void): void {
    const give = (error: MqttError): void => {
      this.fail(error);
      withdraw();
    };
    const onAbort = (): void => give(new MqttAbortError(this.description, this.delivery, { cause: signal?.reason }));
    if (signal?.aborted) return onAbort();
    const timer =
      timeoutMs === undefined
        ? undefined
        : clock.startTimer(() => give(new MqttTimeoutError(this.description, timeoutMs, this.delivery)), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#release = () => {
      timer?.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
  }
}
