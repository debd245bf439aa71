import type { DeliveryState, MqttError } from '../errors.js';

/** What may end a caller's wait early. @internal */
export interface Limit {
  begin(): void;
  /** The operation has settled. */
  release(): void;
}

/** @internal */
export function promiseOf<Result>(operation: Operation<Result>): Promise<Result> {
  return (operation.promise ??= new Promise<Result>((resolve, reject) => {
    if (operation.error !== undefined) reject(operation.error);
    else if (operation.settled) resolve(operation.result as Result);
    else {
      operation.resolve = resolve;
      operation.reject = reject;
    }
  }));
}

/** @returns false when it has settled before. @internal */
export function fulfil<Result>(operation: Operation<Result>, result: Result): boolean {
  if (operation.settled) return false;
  operation.settled = true;
  operation.result = result;
  operation.limit?.release();
  operation.resolve?.(result);
  return true;
}

/** @returns false when it has settled before. @internal */
export function fail<Result>(operation: Operation<Result>, error: MqttError): boolean {
  if (operation.settled) return false;
  operation.settled = true;
  operation.error = error;
  operation.limit?.release();
  operation.reject?.(error);
  return true;
}

/**
 * Something a caller waits for. It settles exactly once. A publish implements this and does not extend it: a base class would take
 * a tenth of its time (docs/performance.md).
 *
 * @internal
 */
export abstract class Operation<Result> {
  /** Settled while the packet exchange is still open: the protocol goes on, nobody listens. */
  settled = false;
  result: Result | undefined;
  error: MqttError | undefined;
  /** Made when somebody asks for it, so a rejection nobody asked for is not an unhandled one. */
  promise: Promise<Result> | undefined;
  resolve: ((result: Result) => void) | undefined;
  reject: ((error: MqttError) => void) | undefined;
  /** Ends the wait, when it comes first. */
  limit: Limit | undefined;

  /** `publish to "a/b"`, for error messages. */
  abstract get description(): string;
  /** Whether the broker may have seen it. */
  abstract get delivery(): DeliveryState;

  get completed(): Promise<Result> {
    return promiseOf(this);
  }

  succeed(result: Result): void {
    fulfil(this, result);
  }

  fail(error: MqttError): void {
    fail(this, error);
  }
}
