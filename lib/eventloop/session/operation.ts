import type { DeliveryState, MqttError } from '../errors.js';

/** What may end a caller's wait early. @internal */
export interface Limit {
  begin(): void;
  /** The operation has settled. */
  release(): void;
}

/**
 * What has become of something that a caller waits for. A publish has these fields itself: a base class would take a tenth of its
 * time (docs/performance.md).
 *
 * @internal
 */
export interface Outcome<Result> {
  /** Settled while the packet exchange is still open: the protocol goes on, nobody listens. */
  settled: boolean;
  result: Result | undefined;
  error: MqttError | undefined;
  /** Made when somebody asks for it, so a rejection nobody asked for is not an unhandled one. */
  promise: Promise<Result> | undefined;
  resolve: ((result: Result) => void) | undefined;
  reject: ((error: MqttError) => void) | undefined;
  /** Ends the wait, when it comes first. */
  limit: Limit | undefined;
}

/** @internal */
export function promiseOf<Result>(outcome: Outcome<Result>): Promise<Result> {
  return (outcome.promise ??= new Promise<Result>((resolve, reject) => {
    if (outcome.error !== undefined) reject(outcome.error);
    else if (outcome.settled) resolve(outcome.result as Result);
    else {
      outcome.resolve = resolve;
      outcome.reject = reject;
    }
  }));
}

/** @returns false when it has settled before. @internal */
export function fulfil<Result>(outcome: Outcome<Result>, result: Result): boolean {
  if (outcome.settled) return false;
  outcome.settled = true;
  outcome.result = result;
  outcome.limit?.release();
  outcome.resolve?.(result);
  return true;
}

/** @returns false when it has settled before. @internal */
export function fail<Result>(outcome: Outcome<Result>, error: MqttError): boolean {
  if (outcome.settled) return false;
  outcome.settled = true;
  outcome.error = error;
  outcome.limit?.release();
  outcome.reject?.(error);
  return true;
}

/** Something a caller waits for. It settles exactly once. @internal */
export abstract class Operation<Result> implements Outcome<Result> {
  settled = false;
  result: Result | undefined;
  error: MqttError | undefined;
  promise: Promise<Result> | undefined;
  resolve: ((result: Result) => void) | undefined;
  reject: ((error: MqttError) => void) | undefined;
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
