import type { Alarm, Alarms } from './alarms.js';
import { MqttAbortError, MqttTimeoutError, type DeliveryState, type MqttError } from './errors.js';
import type { OperationOptions } from './messages.js';
import type { Limit } from './session/operation.js';

/** What a limit needs of its operation. @internal */
export interface LimitedOperation {
  readonly description: string;
  readonly delivery: DeliveryState;
  fail(error: MqttError): void;
}

/** Where an operation waits to be sent. @internal */
export interface Line<O> {
  /** Takes the operation back, if it was not sent. */
  withdraw(operation: O): void;
}

/** The end of a caller's wait: on abort, and after a time. One object, for every request has one. @internal */
export class OperationLimit<O extends LimitedOperation> implements Alarm, Limit {
  dueAtMs = Infinity;
  heapIndex = -1;
  order = 0;
  readonly #operation: O;
  readonly #options: OperationOptions;
  readonly #alarms: Alarms;
  readonly #line: Line<O>;

  constructor(operation: O, options: OperationOptions, alarms: Alarms, line: Line<O>) {
    this.#operation = operation;
    this.#options = options;
    this.#alarms = alarms;
    this.#line = line;
  }

  begin(): void {
    const { signal, timeoutMs } = this.#options;
    if (signal?.aborted) return this.handleEvent();
    if (timeoutMs !== undefined) this.#alarms.set(this, timeoutMs);
    signal?.addEventListener('abort', this, { once: true });
  }

  /** The operation has settled. */
  release(): void {
    this.#alarms.cancel(this);
    if (this.#alarms.size === 0) this.#alarms.stop();
    this.#options.signal?.removeEventListener('abort', this);
  }

  /** The time is up. */
  ring(): void {
    const { description, delivery } = this.#operation;
    this.#end(new MqttTimeoutError(description, this.#options.timeoutMs!, delivery));
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const { description, delivery } = this.#operation;
    this.#end(new MqttAbortError(description, delivery, { cause: this.#options.signal?.reason }));
  }

  #end(error: MqttError): void {
    this.#operation.fail(error);
    this.#line.withdraw(this.#operation);
  }
}
